# Where another region or account keeps copies of `pipeline`'s work and evidence buckets. Replication alone writes here;
# `lockstep recover` reads.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # A command that looks for an environment's own bucket by `-evidence-` must not find a copy.
  names = { for purpose in ["work", "evidence"] : purpose => "${var.name}-${local.account_id}-replica-${purpose}" }
  arns  = { for purpose, name in local.names : purpose => "arn:${local.partition}:s3:::${name}" }

  # The account and not the role: a policy can name no role that is not there yet, and that one waits for these buckets.
  source = replace(var.replication_role_arn, "/:role/.*$/", ":root")

  # A condition needs a value: no role has this name.
  nobody = "arn:${local.partition}:iam::${local.account_id}:role/${var.name}-nobody"
}

resource "aws_kms_key" "this" {
  description             = "Encrypts the copies of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = var.key_deletion_days

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LeaveTheRestToIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*" # in a key's policy, the key itself
      },
      {
        Sid       = "EncryptCopies"
        Effect    = "Allow"
        Principal = { AWS = local.source }
        Action    = ["kms:Encrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = { ArnEquals = { "aws:PrincipalArn" = var.replication_role_arn } }
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}-replica"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_s3_bucket" "this" {
  for_each = local.names

  #checkov:skip=CKV_AWS_18:What reads a copy is in the trail of the account that keeps it
  #checkov:skip=CKV_AWS_144:This is the copy
  #checkov:skip=CKV2_AWS_62:Nothing waits for what lies here
  bucket              = each.value
  force_destroy       = var.force_destroy
  object_lock_enabled = each.key == "evidence"
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

# For what comes without a retention of its own; S3 copies that of what has one.
resource "aws_s3_bucket_object_lock_configuration" "evidence" {
  bucket = aws_s3_bucket.this["evidence"].id

  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.evidence_retention_days
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.this.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.names

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# The copies are this account's, whoever made them.
resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # S3 does not copy the deletion of a version. A dataset that was rewritten is copied anew, and the one before it goes.
  dynamic "rule" {
    for_each = each.key == "work" ? ["baselines/", "datasets/"] : []

    content {
      id     = "forget-former-${trimsuffix(rule.value, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      noncurrent_version_expiration {
        noncurrent_days = var.former_days
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

locals {
  # Whoever empties the environment must be able to.
  deletion = var.force_destroy ? [] : ["evidence", "work"]

  statements = {
    for purpose, arn in local.arns : purpose => concat(
      [
        {
          Sid       = "SpeakTlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [arn, "${arn}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid       = "TakeCopies"
          Effect    = "Allow"
          Principal = { AWS = local.source }
          Action    = ["s3:ReplicateObject", "s3:ReplicateTags"]
          Resource  = "${arn}/*"
          Condition = { ArnEquals = { "aws:PrincipalArn" = var.replication_role_arn } }
        },
        {
          # Replicating is an action of its own. Who forgets a person writes rows of others back.
          Sid       = "WriteByReplicationOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:PutObject", "s3:PutObjectLegalHold", "s3:PutObjectRetention"]
          Resource  = "${arn}/*"
          Condition = { ArnNotLike = { "aws:PrincipalArn" = purpose == "work" ? concat(var.forgetters, [local.nobody]) : [local.nobody] } }
        },
      ],
      [
        for _ in contains(local.deletion, purpose) ? [1] : [] : {
          Sid       = "NeverDelete"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
          Resource  = "${arn}/*"
          Condition = { ArnNotLike = { "aws:PrincipalArn" = purpose == "work" ? concat(var.forgetters, [local.nobody]) : [local.nobody] } }
        }
      ],
    )
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements[each.key] })
}
