# Two ceilings. A boundary grants nothing: it is what no policy can raise a role above, whoever writes that policy.
locals {
  workload_boundary_arn = "${local.policy_prefix}/${var.name}-ci-workload-boundary"
  apply_boundary_arn    = "${local.policy_prefix}/${var.name}-ci-apply-boundary"

  # What belongs to this module: nobody but an administrator changes it.
  own_identities = concat(
    ["arn:${local.partition}:iam::${local.account_id}:role/${var.name}-ci-*", "${local.policy_prefix}/${var.name}-ci-*"],
    ["arn:${local.partition}:iam::${local.account_id}:oidc-provider/*"],
  )

  apply_services = sort(distinct(concat(
    [for action in flatten([for group in values(local.granted) : [for entry in values(group) : concat(entry.read, entry.write)]]) : split(":", action)[0]],
    ["s3", "kms"],
  )))

  apply_denials = concat(
    [
      {
        Sid    = "LeaveItsOwnIdentityAlone"
        Effect = "Deny"
        Action = [
          "iam:Add*", "iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:PassRole", "iam:Put*", "iam:Remove*", "iam:Set*",
          "iam:Tag*", "iam:Untag*", "iam:Update*",
        ]
        Resource = local.own_identities
      },
      {
        # Roles are for the moment; a user, a key or a login stays.
        Sid    = "MakeNoLongLivedCredentials"
        Effect = "Deny"
        Action = [
          "iam:*AccessKey*", "iam:*Group*", "iam:*LoginProfile*", "iam:*MFADevice*", "iam:*SAMLProvider*", "iam:*SSHPublicKey*",
          "iam:*ServiceSpecificCredential*", "iam:*SigningCertificate*", "iam:*User*",
        ]
        Resource = "*"
      },
      {
        Sid       = "MakeNoRoleAboveTheBoundary"
        Effect    = "Deny"
        Action    = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
        Resource  = "*"
        Condition = { StringNotEquals = { "iam:PermissionsBoundary" = local.workload_boundary_arn } }
      },
      {
        Sid      = "TakeNoBoundaryAway"
        Effect   = "Deny"
        Action   = "iam:DeleteRolePermissionsBoundary"
        Resource = "*"
      },
      {
        # Requests, models, evidence, traffic: what runs in it is none of its business. Its own state, and what is
        # deployed as objects, are all it has to do with.
        Sid         = "TouchNoContent"
        Effect      = "Deny"
        Action      = ["s3:AbortMultipartUpload", "s3:DeleteObject*", "s3:GetObject*", "s3:PutObject*", "s3:ReplicateObject", "s3:RestoreObject"]
        NotResource = concat(local.deployed_objects, [local.state_object, local.state_lock])
      },
      {
        Sid      = "KeepEvidenceLocked"
        Effect   = "Deny"
        Action   = ["s3:BypassGovernanceRetention", "s3:ObjectOwnerOverrideToBucketOwner", "s3:PutObjectLegalHold", "s3:PutObjectRetention"]
        Resource = "*"
      },
      {
        Sid      = "LeaveTheStateBucketAlone"
        Effect   = "Deny"
        Action   = ["s3:Create*", "s3:DeleteBucket*", "s3:PutBucket*", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration"]
        Resource = local.bucket_arns.state
      },
      {
        Sid      = "LeaveTheStateKeyAlone"
        Effect   = "Deny"
        Action   = ["kms:CreateGrant", "kms:Disable*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]
        Resource = aws_kms_key.state.arn
      },
      {
        # Whoever deploys a gate does not sign for it.
        Sid      = "SignNothing"
        Effect   = "Deny"
        Action   = ["kms:GenerateMac", "kms:Sign"]
        Resource = "*"
      },
      {
        Sid       = "UseKeysThroughServicesOnly"
        Effect    = "Deny"
        Action    = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = "*"
        Condition = { Null = { "kms:ViaService" = "true" } }
      },
      {
        Sid    = "RunAndReadNothing"
        Effect = "Deny"
        Action = [
          "athena:StartQueryExecution", "dynamodb:*Item", "dynamodb:PartiQL*", "dynamodb:Query", "dynamodb:Scan", "ecr:PutImage", "ecs:ExecuteCommand", "ecs:RunTask",
          "lambda:Invoke*", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:StartQuery", "secretsmanager:*SecretValue", "sns:Publish",
          "sqs:ReceiveMessage", "sqs:SendMessage", "states:SendTask*", "states:Start*",
        ]
        Resource = "*"
      },
    ],
    var.protect_data ? [{
      Sid    = "KeepWhatCannotBeMadeAgain"
      Effect = "Deny"
      Action = [
        "cloudtrail:DeleteTrail", "cloudtrail:StopLogging", "dynamodb:DeleteTable", "ecr:DeleteRepository", "guardduty:DeleteDetector",
        "kms:DisableKey", "kms:ScheduleKeyDeletion", "logs:DeleteLogGroup", "rds:DeleteDBInstance", "s3:DeleteBucket",
        "secretsmanager:DeleteSecret",
      ]
      Resource = "*"
    }] : [],
  )

  # What Lockstep's roles, and its people's, have any use for.
  workload_services = [
    "athena", "cloudtrail", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "elasticloadbalancing", "events", "firehose", "glue",
    "guardduty", "inspector2", "kms", "lambda", "logs", "rds", "s3", "sagemaker", "scheduler", "secretsmanager", "sns", "sqs", "states",
    "tag", "xray",
  ]
}

# A plan's role needs none: nothing that it holds changes anything.
resource "aws_iam_policy" "apply_boundary" {
  #checkov:skip=CKV_AWS_286:A boundary grants nothing
  #checkov:skip=CKV_AWS_287:A boundary grants nothing
  #checkov:skip=CKV_AWS_288:A boundary grants nothing
  #checkov:skip=CKV_AWS_289:A boundary grants nothing
  #checkov:skip=CKV_AWS_290:A boundary grants nothing
  #checkov:skip=CKV_AWS_355:A boundary grants nothing
  #parliament:skip=MISMATCHED_TYPE_BUT_USABLE:An ARN compared as text is compared whole; StringNotEquals takes no pattern
  name        = "${var.name}-ci-apply-boundary"
  description = "What ${local.role_names.apply} cannot be given"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "DeployWithTheseServices"
        Effect   = "Allow"
        Action   = [for service in local.apply_services : "${service}:*"]
        Resource = "*"
      }],
      local.apply_denials,
    )
  })
}

# The apply role makes roles under this one only, and cannot change it. Environments hand its ARN to the modules.
resource "aws_iam_policy" "workload_boundary" {
  #checkov:skip=CKV_AWS_286:A boundary grants nothing
  #checkov:skip=CKV_AWS_287:A boundary grants nothing
  #checkov:skip=CKV_AWS_288:A boundary grants nothing
  #checkov:skip=CKV_AWS_289:A boundary grants nothing
  #checkov:skip=CKV_AWS_290:A boundary grants nothing
  #checkov:skip=CKV_AWS_355:A boundary grants nothing
  name        = "${var.name}-ci-workload-boundary"
  description = "What no role that ${local.role_names.apply} makes can be given"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "WorkWithTheseServices"
        Effect   = "Allow"
        Action   = [for service in local.workload_services : "${service}:*"]
        Resource = "*"
      },
      {
        Sid    = "PassAndTakeOnLockstepsRoles"
        Effect = "Allow"
        Action = [
          "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies",
          "iam:ListRolePolicies", "iam:PassRole", "sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession",
        ]
        Resource = ["arn:${local.partition}:iam::${local.account_id}:role/${var.name}-*", "${local.policy_prefix}/${var.name}-*"]
      },
      {
        Sid      = "LeaveCiAlone"
        Effect   = "Deny"
        Action   = ["iam:PassRole", "sts:AssumeRole"]
        Resource = "arn:${local.partition}:iam::${local.account_id}:role/${var.name}-ci-*"
      },
      {
        Sid      = "LeaveTheStateAlone"
        Effect   = "Deny"
        Action   = "s3:*"
        Resource = [local.bucket_arns.state, "${local.bucket_arns.state}/*"]
      },
      {
        Sid      = "KeepEvidenceLocked"
        Effect   = "Deny"
        Action   = "s3:BypassGovernanceRetention"
        Resource = "*"
      },
      {
        Sid      = "SilenceNothing"
        Effect   = "Deny"
        Action   = ["cloudtrail:DeleteTrail", "cloudtrail:StopLogging", "cloudtrail:UpdateTrail", "guardduty:DeleteDetector", "guardduty:UpdateDetector"]
        Resource = "*"
      },
    ]
  })
}
