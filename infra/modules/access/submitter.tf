# Submits requests and brings training data. Starts no execution: Step Functions does not say who did, and a run without
# a known submitter cannot be approved where policy asks for two people. Evaluation data has its own writers.
locals {
  submitter_statements = {
    for team in keys(var.teams) : team => [
      {
        Sid      = "SubmitAsOneself"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = [for place in ["promotions", "requests"] : "${local.intake}/${place}/$${aws:userid}/*"]
      },
      {
        Sid       = "ListOnesOwnRequests"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = local.intake
        Condition = { StringLike = { "s3:prefix" = ["requests/$${aws:userid}/*"] } }
      },
      {
        # By version: a request pins it.
        Sid      = "BringTheTeamsData"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
        Resource = "${local.work}/datasets/training/${team}/*"
      },
      {
        Sid       = "ListTheTeamsData"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = local.work
        Condition = { StringLike = { "s3:prefix" = ["datasets/training/${team}/*"] } }
      },
      {
        Sid       = "WriteWhatIsEncrypted"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.data_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
      },
      {
        Sid      = "SeeTheTeamsPackages"
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"]
        Resource = local.group_arns[team]
      },
      local.follow_runs,
      local.read_verdicts,
      local.list_verdicts,
    ]
  }
}
