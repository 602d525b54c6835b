# What people may at most do, whatever is attached to their roles later. It is a list of what they may, and not only of
# what they may not: an action that AWS adds tomorrow is outside it.
locals {
  boundary_statements = [
    {
      Sid    = "LookAtMost"
      Effect = "Allow"
      Action = [
        "athena:BatchGet*", "athena:Get*", "athena:List*", "cloudtrail:Describe*", "cloudtrail:Get*", "cloudtrail:LookupEvents",
        "cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "events:Describe*", "events:List*", "glue:Get*", "iam:Get*", "iam:List*",
        "kms:Decrypt", "kms:Describe*", "kms:Get*", "kms:List*", "logs:Describe*", "logs:FilterLogEvents", "logs:Get*", "s3:Get*", "s3:List*",
        "sagemaker:Describe*", "sagemaker:List*", "scheduler:Get*", "scheduler:List*", "sns:Get*", "sns:List*", "sqs:Get*", "states:Describe*",
        "states:List*", "xray:BatchGet*", "xray:Get*",
      ]
      Resource = "*" # a boundary grants nothing: each role's own policy names what it reaches
    },
    {
      Sid    = "ActAtMost"
      Effect = "Allow"
      Action = concat(
        [
          "athena:StartQueryExecution", "athena:StopQueryExecution", "events:DisableRule", "events:EnableRule", "kms:DisableKey", "kms:EnableKey",
          "kms:GenerateDataKey", "lambda:InvokeFunction", "logs:StartQuery", "logs:StopQuery", "sagemaker:UpdateModelPackage",
          "scheduler:UpdateSchedule", "sns:Subscribe", "sns:Unsubscribe", "states:StopExecution",
        ],
        var.operators_may_redrive ? ["states:RedriveExecution"] : [],
      )
      Resource = "*"
    },
    {
      Sid    = "WriteWhereNothingIsVerified"
      Effect = "Allow"
      Action = ["s3:AbortMultipartUpload", "s3:PutObject"]
      Resource = concat(
        ["${local.intake}/promotions/*", "${local.intake}/requests/*", "${local.work}/datasets/training/*"],
        var.audit == null ? [] : ["${var.audit.results_arn}/*"],
      )
    },
    {
      Sid       = "PassASchedulesRoleAtMost"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = "${local.iam_prefix}:role/${var.name}-scheduler"
      Condition = { StringEquals = { "iam:PassedToService" = "scheduler.${local.dns_suffix}" } }
    },
    {
      # A resource's own policy can reach past what a boundary leaves out, and not past what it denies.
      Sid    = "NeverHoldATaskToken"
      Effect = "Deny"
      Action = [
        "dynamodb:*", "lambda:GetFunction*", "states:GetActivityTask", "states:GetExecutionHistory", "states:SendTask*", "states:StartExecution",
      ]
      Resource = "*"
    },
    {
      Sid      = "NeverHoldASecretOrSign"
      Effect   = "Deny"
      Action   = ["kms:CreateGrant", "kms:GenerateMac", "kms:ReEncrypt*", "kms:Sign", "secretsmanager:*"]
      Resource = "*"
    },
    {
      Sid      = "NeverDelete"
      Effect   = "Deny"
      Action   = ["kms:ScheduleKeyDeletion", "logs:Delete*", "s3:BypassGovernanceRetention", "s3:Delete*", "sagemaker:Delete*"]
      Resource = "*"
    },
    {
      Sid      = "NeverBecomeSomebodyElse"
      Effect   = "Deny"
      Action   = ["sts:AssumeRole", "sts:TagSession"]
      Resource = "*"
    },
  ]

  boundary_document = jsonencode({ Version = "2012-10-17", Statement = local.boundary_statements })
  boundary_length   = length(local.boundary_document)
}

resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_355:a boundary grants nothing; each role's own policy names what it reaches
  #checkov:skip=CKV_AWS_290:as above
  #checkov:skip=CKV_AWS_288:as above
  #checkov:skip=CKV_AWS_289:as above
  #checkov:skip=CKV_AWS_287:as above
  #checkov:skip=CKV_AWS_286:as above
  name        = "${var.name}-people"
  description = "What people's roles in ${var.name} may at most do"

  policy = local.boundary_document

  lifecycle {
    precondition {
      condition     = local.boundary_length <= 6144
      error_message = "The boundary has more than IAM's 6,144 characters: shorten `name`, or the ARNs in `bucket_arns` and `audit`."
    }
  }
}
