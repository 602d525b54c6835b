# What SageMaker takes on to bring up an endpoint's instances. The container itself is isolated and can use none of
# it.

locals {
  endpoint_statements = [
    {
      Sid      = "PullTheImage"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = var.repository_arn
    },
    {
      Sid      = "LogInToTheRegistry"
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = "*" # names no repository; what may be pulled with it is tied down above
    },
    {
      Sid      = "WriteLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = "${local.log_group_prefix}:/aws/sagemaker/*"
    },
    {
      Sid       = "WriteMetrics"
      Effect    = "Allow"
      Action    = "cloudwatch:PutMetricData"
      Resource  = "*" # metrics have no ARN: their namespace stands in
      Condition = { StringLike = { "cloudwatch:namespace" = ["/aws/sagemaker/*", "AWS/SageMaker"] } }
    },
    {
      Sid    = "AttachToTheSubnets"
      Effect = "Allow"
      Action = [
        "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission",
      ]
      Resource = concat(
        ["${local.ec2_prefix}:network-interface/*"],
        [for id in var.subnet_ids : "${local.ec2_prefix}:subnet/${id}"],
        [for id in var.security_group_ids : "${local.ec2_prefix}:security-group/${id}"],
      )
    },
    {
      Sid      = "LookAtTheNetwork"
      Effect   = "Allow"
      Action   = ["ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]
      Resource = "*" # EC2's describing actions know no resource
    },
    {
      Sid      = "UseTheDataKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
      Resource = var.data_key_arn
    },
    {
      # SageMaker attaches encrypted volumes under a grant that the caller makes for it.
      Sid       = "GrantTheKeyToSageMaker"
      Effect    = "Allow"
      Action    = "kms:CreateGrant"
      Resource  = var.data_key_arn
      Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
    },
    {
      Sid      = "ReadTheModel"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "${var.work_bucket_arn}/artifacts/*"
    },
    {
      Sid       = "ListTheModel"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = var.work_bucket_arn
      Condition = { StringLike = { "s3:prefix" = ["artifacts/*"] } }
    },
    {
      Sid      = "WriteCapturedTraffic"
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = "${var.work_bucket_arn}/capture/*"
    },
  ]
}

resource "aws_iam_role" "endpoint" {
  name                 = local.role_names.endpoint
  description          = "What sagemaker.amazonaws.com may do for ${var.name}"
  permissions_boundary = var.permissions_boundary_arn

  # Only for this account's resources: a service must not be talked into using the role for somebody else's.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sagemaker.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "endpoint" {
  #checkov:skip=CKV_AWS_355:ecr:GetAuthorizationToken, cloudwatch:PutMetricData and EC2's describing actions know no resource; a test holds the list
  #checkov:skip=CKV_AWS_290:cloudwatch:PutMetricData knows no resource and is bound to SageMaker's namespaces
  name = "permissions"
  role = aws_iam_role.endpoint.name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.endpoint_statements
  })
}
