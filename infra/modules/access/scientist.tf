# Looks at what came of it: models, artifacts, the team's data, metrics. Changes nothing.
locals {
  scientist_statements = {
    for team in keys(var.teams) : team => [
      {
        Sid    = "ReadModelsAndData"
        Effect = "Allow"
        Action = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = [
          "${local.work}/artifacts/*", "${local.work}/datasets/training/${team}/*", "${local.work}/models/*", "${local.work}/runs/*/evaluation/*",
        ]
      },
      {
        Sid       = "ListModelsAndData"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = local.work
        Condition = { StringLike = { "s3:prefix" = ["artifacts/*", "datasets/training/${team}/*", "models/*", "runs/*"] } }
      },
      {
        Sid      = "SeeJobsAndServing"
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel", "sagemaker:DescribeProcessingJob", "sagemaker:DescribeTrainingJob"]
        Resource = concat(local.run_arns, local.serving_arns)
      },
      {
        Sid      = "SeeTheTeamsPackages"
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"]
        Resource = local.group_arns[team]
      },
      {
        Sid      = "ReadTheCard"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeModelCard"
        Resource = local.card_arns
      },
      {
        Sid      = "ListJobsAndServing"
        Effect   = "Allow"
        Action   = local.unnamed.listing
        Resource = "*"
      },
      local.read_metrics,
      local.follow_runs,
      local.read_verdicts,
      local.list_verdicts,
      local.read_through_s3,
      {
        # Said here too, and not left to the boundary: whatever is attached to the role later, it deletes nothing.
        Sid      = "NeverChangeOrDelete"
        Effect   = "Deny"
        Action   = ["s3:Delete*", "s3:Put*", "s3:Replicate*", "s3:RestoreObject", "sagemaker:Create*", "sagemaker:Delete*", "sagemaker:Update*"]
        Resource = "*" # whatever it is
      },
    ]
  }
}
