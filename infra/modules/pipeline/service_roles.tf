# Roles that services take on: SageMaker for jobs, Step Functions, EventBridge, Scheduler. The endpoints' is in `serving`.

locals {
  trusted_by = {
    job       = "sagemaker.amazonaws.com"
    pipeline  = "states.amazonaws.com"
    events    = "events.amazonaws.com"
    scheduler = "scheduler.amazonaws.com"
  }

  # What SageMaker does with its role. The containers themselves are isolated and can use none of it.
  sagemaker_statements = [
    {
      Sid      = "PullTheImage"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = local.repository_arn
    },
    {
      Sid      = "LogInToTheRegistry"
      Effect   = "Allow"
      Action   = local.unnamed.login
      Resource = "*"
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
        ["arn:${local.partition}:ec2:${local.region}:${local.account_id}:network-interface/*"],
        [for id in var.subnet_ids : "arn:${local.partition}:ec2:${local.region}:${local.account_id}:subnet/${id}"],
        [for id in var.security_group_ids : "arn:${local.partition}:ec2:${local.region}:${local.account_id}:security-group/${id}"],
      )
    },
    {
      Sid      = "LookAtTheNetwork"
      Effect   = "Allow"
      Action   = local.unnamed.network
      Resource = "*"
    },
    {
      Sid      = "UseTheDataKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
      Resource = aws_kms_key.data.arn
    },
    local.encrypt_volumes,
  ]

  service_statements = {
    job = concat(local.sagemaker_statements, [
      {
        Sid      = "ReadInput"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = concat(["${local.work}/artifacts/*", "${local.work}/models/*"], local.training_data, local.evaluation_data)
      },
      {
        Sid      = "WriteOutput"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:PutObject"]
        Resource = ["${local.work}/runs/*/evaluation/*", "${local.work}/runs/*/training/*"]
      },
      {
        # A spot job goes on from what it left before its capacity was taken.
        Sid      = "KeepCheckpoints"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = "${local.work}/checkpoints/*"
      },
      {
        Sid       = "ListInput"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = local.work
        Condition = { StringLike = { "s3:prefix" = concat(["artifacts/*", "checkpoints/*", "models/*", "runs/*"], [for prefix in concat(local.policy.data.training_prefixes, local.policy.data.evaluation_prefixes) : "${prefix}*"]) } }
      },
    ])

    pipeline = [
      {
        Sid      = "InvokeTheFunctions"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = [for verb in sort(keys(local.functions)) : local.function_arns[verb] if verb != "resume-execution"]
      },
      {
        Sid      = "DeliverLogs"
        Effect   = "Allow"
        Action   = local.unnamed.log_delivery
        Resource = "*"
      },
      {
        Sid      = "Trace"
        Effect   = "Allow"
        Action   = local.unnamed.tracing
        Resource = "*"
      },
    ]

    events = [local.start_runs]

    scheduler = concat([local.start_runs], [for statement in [
      {
        Sid      = "KeepWhatItCouldNotStart"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = local.dead_letter_arn
      },
      {
        Sid       = "EncryptWhatItCouldNotStart"
        Effect    = "Allow"
        Action    = "kms:GenerateDataKey"
        Resource  = aws_kms_key.data.arn
        Condition = { StringEquals = { "kms:ViaService" = "sqs.${local.region}.${local.dns_suffix}" } }
      },
      ] : statement if var.dead_letters], [
      {
        Sid       = "ReadTheSchedulesInput"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = aws_kms_key.data.arn
        Condition = { StringEquals = { "kms:ViaService" = "scheduler.${local.region}.${local.dns_suffix}" } }
      },
    ])
  }

  start_runs = {
    Sid      = "StartRuns"
    Effect   = "Allow"
    Action   = "states:StartExecution"
    Resource = local.state_machine_arn
  }
}

resource "aws_iam_role" "service" {
  for_each = local.trusted_by

  name                 = local.role_names[each.key]
  description          = "What ${each.value} may do for ${var.name}"
  permissions_boundary = aws_iam_policy.boundary.arn

  # Only for this account's resources: a service must not be talked into using the role for somebody else's.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = each.value }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "service" {
  for_each = local.trusted_by

  name = "permissions"
  role = aws_iam_role.service[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.service_statements[each.key]
  })
}
