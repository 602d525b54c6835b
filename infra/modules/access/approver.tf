# Says yes or no to a package of its team's groups, having read what the gates found.
locals {
  approver_statements = {
    for team in keys(var.teams) : team => [
      {
        Sid      = "SeeWhatAwaits"
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"]
        Resource = local.group_arns[team]
      },
      {
        Sid      = "FindTheGroup"
        Effect   = "Allow"
        Action   = local.unnamed.groups
        Resource = "*"
      },
      {
        # A decision and nothing else. An update that says nothing of the status is not one, and what the card's facts
        # are known by must not be rewritten after they were read.
        Sid      = "Decide"
        Effect   = "Allow"
        Action   = "sagemaker:UpdateModelPackage"
        Resource = [for arn in local.group_arns[team] : arn if strcontains(arn, ":model-package/")]
        Condition = {
          StringEquals = { "sagemaker:ModelApprovalStatus" = ["Approved", "Rejected"] }
          Null         = { "sagemaker:CustomerMetadataPropertiesToRemove" = "true" }
        }
      },
      {
        Sid      = "ReadTheCard"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeModelCard"
        Resource = local.card_arns
      },
      local.follow_runs,
      local.read_verdicts,
      local.list_verdicts,
      local.read_through_s3,
    ]
  }
}
