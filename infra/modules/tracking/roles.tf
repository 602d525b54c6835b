locals {
  ecs_only = {
    StringEquals = { "aws:SourceAccount" = local.account_id }
    ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account_id}:*" }
  }

  roles = {
    execution = {
      description = "What ECS may do to start ${local.id}'s tasks"
      service     = "ecs-tasks.amazonaws.com"
      condition   = local.ecs_only
    }
    task = {
      description = "What ${local.id}'s server may do"
      service     = "ecs-tasks.amazonaws.com"
      condition   = local.ecs_only
    }
    monitoring = {
      description = "What RDS may do to measure the machine under ${local.id}'s database"
      service     = "monitoring.rds.amazonaws.com"
      condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = local.database_arn }
      }
    }
    redeploy = {
      description = "What may be done to give ${local.id}'s tasks a new password"
      service     = "states.amazonaws.com"
      condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = local.state_machine_arn }
      }
    }
    events = {
      description = "What EventBridge may do when ${local.id}'s password was rotated"
      service     = "events.amazonaws.com"
      condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${local.id}-*" }
      }
    }
  }

  statements = {
    # No deletion: what a run logged stays, and the server is the part that everybody talks to.
    task = [
      {
        Sid      = "ReadAndWriteArtifacts"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
        Resource = "${local.artifacts}/*"
      },
      {
        Sid       = "ListArtifacts"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = local.bucket_arn
        Condition = { StringLike = { "s3:prefix" = ["artifacts", "artifacts/*"] } }
      },
      {
        # With a bucket key, S3 asks KMS for the bucket and not for each object.
        Sid      = "UseTheDataKeyForArtifacts"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.data_key_arn
        Condition = {
          StringEquals = {
            "kms:ViaService"                   = "s3.${local.region}.${local.dns_suffix}"
            "kms:EncryptionContext:aws:s3:arn" = local.bucket_arn
          }
        }
      },
    ]

    # Enhanced monitoring writes to one log group for the whole account, whose name cannot be chosen.
    monitoring = [
      {
        Sid      = "MakeTheMonitoringLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:PutRetentionPolicy"]
        Resource = "${local.log_group_prefix}:RDSOSMetrics"
      },
      {
        Sid      = "WriteTheMonitoringLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents"]
        Resource = ["${local.log_group_prefix}:RDSOSMetrics", "${local.log_group_prefix}:RDSOSMetrics:log-stream:*"]
      },
    ]

    redeploy = [
      {
        Sid      = "RedeployTheServer"
        Effect   = "Allow"
        Action   = "ecs:UpdateService"
        Resource = local.service_arn
      },
      {
        Sid    = "DeliverLogs"
        Effect = "Allow"
        Action = [
          "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
          "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
        ]
        Resource = "*" # the actions know no resource
      },
      {
        Sid      = "Trace"
        Effect   = "Allow"
        Action   = ["xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        Resource = "*" # nor do these
      },
    ]

    events = [
      {
        Sid      = "RedeployAfterARotation"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = local.state_machine_arn
      },
    ]
  }
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name                 = local.role_names[each.key]
  description          = each.value.description
  permissions_boundary = var.permissions_boundary_arn

  # Only for this account's resources: a service must not be talked into using the role for somebody else's.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ActForThisAccountOnly"
      Effect    = "Allow"
      Principal = { Service = each.value.service }
      Action    = "sts:AssumeRole"
      Condition = each.value.condition
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.statements

  name = "permissions"
  role = aws_iam_role.this[each.key].name

  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

# Apart from the others: it names the secret that the database's instance has, and the instance waits for theirs.
locals {
  execution_statements = [
    {
      Sid      = "PullTheImage"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = local.repository_arn
    },
    {
      Sid      = "SignInToTheRegistry"
      Effect   = "Allow"
      Action   = "ecr:GetAuthorizationToken"
      Resource = "*" # the action knows no resource
    },
    {
      Sid      = "ReadTheDatabasesPassword"
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = local.secret_arn
    },
    {
      Sid      = "DecryptTheDatabasesPassword"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = var.data_key_arn
      Condition = {
        StringEquals = {
          "kms:ViaService"                  = "secretsmanager.${local.region}.${local.dns_suffix}"
          "kms:EncryptionContext:SecretARN" = local.secret_arn
        }
      }
    },
    {
      Sid      = "WriteTheServersLog"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${local.log_group_prefix}:${local.log_groups.server}:log-stream:*"
    },
  ]
}

resource "aws_iam_role_policy" "execution" {
  name = "permissions"
  role = aws_iam_role.this["execution"].name

  policy = jsonencode({ Version = "2012-10-17", Statement = local.execution_statements })
}
