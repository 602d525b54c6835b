# Who may take a person's records out of the data, and what proves that it was done: `lockstep forget` under a role of
# its own. It reads and deletes where people's data is, and nowhere else; it reads what each run was trained on, and
# writes receipts, which hold a pseudonym and digests.

locals {
  forgets     = length(var.forgetters) > 0
  forget_name = "${var.name}-forget"

  forget_principals = [
    "arn:${local.partition}:iam::${local.account_id}:role/${local.forget_name}",
    "arn:${local.partition}:sts::${local.account_id}:assumed-role/${local.forget_name}/*",
  ]

  # Where people's data is. A run's folder holds answers to rows, and much else.
  rows      = [for place in ["capture", "datasets", "labels", "runs/*/evaluation"] : "${local.work}/${place}/*"]
  documents = concat([for place in ["baselines", "drift"] : "${local.work}/${place}/*"], ["${local.bucket_arns["intake"]}/requests/*"])

  forget_statements = [
    {
      Sid      = "FindEveryVersion"
      Effect   = "Allow"
      Action   = "s3:ListBucketVersions"
      Resource = [local.work, local.bucket_arns["intake"]]
    },
    {
      # S3 wants s3:GetObject, too, of who writes on the condition that nobody else did.
      Sid      = "ReadEveryVersion"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:GetObjectVersion"]
      Resource = concat(local.rows, local.documents)
    },
    {
      # The rows of everybody else.
      Sid      = "WriteWhatIsLeft"
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = local.rows
    },
    {
      Sid      = "DeleteVersions"
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
      Resource = concat(local.rows, local.documents)
    },
    {
      Sid      = "FindRuns"
      Effect   = "Allow"
      Action   = "s3:ListBucket"
      Resource = local.evidence
    },
    {
      Sid      = "ReadWhatRunsWereTrainedOnAndReceipts"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = [for file in ["forgotten/*", "policy/trust-root.json", "runs/*/admit-run/plan.json"] : "${local.evidence}/${file}"]
    },
    {
      Sid      = "WriteReceipts"
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = "${local.evidence}/forgotten/*"
    },
    {
      Sid      = "SignReceipts"
      Effect   = "Allow"
      Action   = "kms:Sign"
      Resource = one(aws_kms_key.forget[*].arn)
    },
    {
      Sid      = "MakePseudonyms"
      Effect   = "Allow"
      Action   = "kms:GenerateMac"
      Resource = one(aws_kms_key.pseudonym[*].arn)
    },
    {
      Sid       = "UseTheDataKeyThroughS3"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = aws_kms_key.data.arn
      Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
    },
  ]
}

resource "aws_iam_role" "forget" {
  count = local.forgets ? 1 : 0

  name                 = local.forget_name
  description          = "What `lockstep forget` may do"
  max_session_duration = 3600
  permissions_boundary = aws_iam_policy.boundary.arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(
      {
        Effect    = "Allow"
        Principal = { AWS = sort(var.forgetters) }
        Action    = "sts:AssumeRole"
      },
      # Asked here and nowhere else: a session that AssumeRole gives out carries no factor to ask for later.
      var.forgetters_need_mfa ? { Condition = { Bool = { "aws:MultiFactorAuthPresent" = "true" } } } : {},
    )]
  })
}

resource "aws_iam_role_policy" "forget" {
  count = local.forgets ? 1 : 0

  name   = "permissions"
  role   = aws_iam_role.forget[0].name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.forget_statements })
}

resource "aws_kms_key" "forget" {
  count = local.forgets ? 1 : 0

  description              = "Signs what ${local.forget_name} deleted"
  key_usage                = "SIGN_VERIFY"
  customer_master_key_spec = "ECC_NIST_P256"
  deletion_window_in_days  = var.key_deletion_days
}

# A subject's name has few likely values; without this key nobody can try them against a pseudonym. KMS does not rotate
# HMAC keys: with another one the same subject would have another pseudonym.
resource "aws_kms_key" "pseudonym" {
  count = local.forgets ? 1 : 0

  description              = "Makes the pseudonyms of who was forgotten"
  key_usage                = "GENERATE_VERIFY_MAC"
  customer_master_key_spec = "HMAC_256"
  deletion_window_in_days  = var.key_deletion_days
}

locals {
  forget_keys = !local.forgets ? {} : {
    sign-forget = { id = aws_kms_key.forget[0].key_id, use = "kms:Sign", seen = ["kms:GetPublicKey", "kms:Verify"] }
    pseudonym   = { id = aws_kms_key.pseudonym[0].key_id, use = "kms:GenerateMac", seen = [] }
  }
}

resource "aws_kms_key_policy" "forget" {
  for_each = local.forget_keys

  key_id = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AdministerWithoutUsing"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action = concat([
          "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey",
          "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListResourceTags", "kms:PutKeyPolicy",
          "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
        ], each.value.seen)
        Resource = "*"
      },
      {
        # Together with the role's own policy: neither is enough alone.
        Sid       = "UseAsOneRole"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = each.value.use
        Resource  = "*"
        Condition = { ArnLike = { "aws:PrincipalArn" = local.forget_principals } }
      },
      {
        Sid       = "UseAsNobodyElse"
        Effect    = "Deny"
        Principal = "*"
        Action    = [each.value.use, "kms:CreateGrant"]
        Resource  = "*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.forget_principals } }
      },
    ]
  })
}

resource "aws_kms_alias" "forget" {
  for_each = local.forget_keys

  name          = "alias/${var.name}-${each.key}"
  target_key_id = each.value.id
}

data "aws_kms_public_key" "forget" {
  count = local.forgets ? 1 : 0

  key_id = aws_kms_key.forget[0].arn
}
