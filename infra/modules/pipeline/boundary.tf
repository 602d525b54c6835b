# The most that a role of this pipeline can ever do, whatever is attached to it later: each role's own policy says what it
# may do, and this says what no mistake there can add.
resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_289:A boundary grants nothing; each role's own policy names what it reaches
  #checkov:skip=CKV_AWS_290:A boundary grants nothing; each role's own policy names what it reaches
  #checkov:skip=CKV_AWS_355:A boundary grants nothing; each role's own policy names what it reaches
  name        = "${var.name}-boundary"
  description = "Permissions boundary of ${var.name}'s roles"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # A boundary grants nothing; what it lets through is the services that the roles' own policies may then name
        # resources of.
        Sid    = "LetTheRolesPoliciesDecide"
        Effect = "Allow"
        Action = [
          "application-autoscaling:*Scal*", "cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:PutMetricData", "dynamodb:*", "ec2:*NetworkInterface*", "ec2:*PrivateIpAddresses", "ec2:Describe*", "ecr:*", "events:PutEvents",
          "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:GenerateMac", "kms:GetPublicKey", "kms:Sign",
          "lambda:InvokeFunction", "logs:*", "s3:*", "sagemaker:*", "secretsmanager:GetSecretValue", "sns:Publish", "sqs:SendMessage",
          "states:*", "xray:*",
        ]
        Resource = "*"
      },
      {
        Sid      = "PassTheJobsAndEndpointsRolesOnly"
        Effect   = "Allow"
        Action   = "iam:PassRole"
        Resource = [local.role_arns["job"], local.role_arns["endpoint"]]
      },
      {
        Sid       = "LetTheScalerHaveItsRoleOnly"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "*"
        Condition = { StringEquals = { "iam:AWSServiceName" = "sagemaker.application-autoscaling.amazonaws.com" } }
      },
      {
        Sid    = "NeverTakeDownTheWalls"
        Effect = "Deny"
        Action = [
          "dynamodb:DeleteTable", "ecr:DeleteRepository", "ecr:DeleteRepositoryPolicy", "ecr:PutImageTagMutability", "ecr:SetRepositoryPolicy",
          "logs:DeleteLogGroup", "logs:DeleteLogStream", "logs:DeleteRetentionPolicy", "s3:BypassGovernanceRetention", "s3:DeleteBucket*",
          "s3:PutBucket*", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:PutObjectAcl", "s3:PutObjectLegalHold",
          "s3:PutObjectRetention", "states:CreateStateMachine", "states:DeleteStateMachine", "states:UpdateStateMachine",
        ]
        Resource = "*"
      },
      {
        Sid       = "StayInTheAccount"
        Effect    = "Deny"
        Action    = ["s3:*", "dynamodb:*", "kms:*", "sns:*", "sqs:*", "secretsmanager:*", "lambda:*", "states:*"]
        Resource  = "*"
        Condition = { StringNotEquals = { "aws:ResourceAccount" = local.account_id } }
      },
    ]
  })
}
