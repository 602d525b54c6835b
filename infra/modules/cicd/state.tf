locals {
  state_bucket = "${var.name}-state-${local.account_id}"
  state_key    = "${var.name}/${var.environment}.tfstate"
  state_object = "${local.bucket_arns.state}/${local.state_key}"
  state_lock   = "${local.state_object}.tflock"
  state_alias  = "alias/${var.name}-state"

  state_users = concat(local.role_principals.plan, local.role_principals.apply, local.administrators)
}

# A key of its own and not the pipeline's: the state is there before the pipeline, tells more than anything that the
# pipeline encrypts, and must still be readable when the pipeline is not.
resource "aws_kms_key" "state" {
  description             = "Encrypts Terraform's state of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30

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
        Sid       = "ReadAndWriteTheStateAsItsUsersOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = "*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.state_users } }
      },
    ]
  })
}

resource "aws_kms_alias" "state" {
  name          = local.state_alias
  target_key_id = aws_kms_key.state.key_id
}

resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_18:Its access log is a variable: the bucket for it is made later than this one
  #checkov:skip=CKV_AWS_144:Versions stay in one region; the state can be imported anew from what it describes
  #checkov:skip=CKV2_AWS_62:Who touches the state is in the trail, and nothing waits for it
  bucket        = local.state_bucket
  force_destroy = false
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.state.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_logging" "state" {
  count = var.access_log_bucket == null ? 0 : 1

  bucket        = aws_s3_bucket.state.id
  target_bucket = var.access_log_bucket
  target_prefix = "s3/"

  # As `audit`'s table of access logs looks for them.
  target_object_key_format {
    partitioned_prefix {
      partition_date_source = "EventTime"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  # Every lock leaves a version and a marker behind.
  rule {
    id     = "forget-what-is-long-past"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days           = var.state_history_days
      newer_noncurrent_versions = 20
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "SpeakTlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arns.state, "${local.bucket_arns.state}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "ReadAsItsUsersOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = [local.bucket_arns.state, "${local.bucket_arns.state}/*"]
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.state_users } }
      },
      {
        # A plan writes nothing, not even its lock: see the README.
        Sid       = "WriteAsTheApplyRoleOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteObject", "s3:PutObject"]
        Resource  = "${local.bucket_arns.state}/*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = concat(local.role_principals.apply, local.administrators) } }
      },
      {
        # A state that was overwritten by mistake, or on purpose, can be had back.
        Sid       = "NeverDeleteAVersion"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:DeleteObjectVersion"
        Resource  = "${local.bucket_arns.state}/*"
      },
      {
        Sid         = "DeleteLocksOnly"
        Effect      = "Deny"
        Principal   = "*"
        Action      = "s3:DeleteObject"
        NotResource = "${local.bucket_arns.state}/*.tflock"
      },
      {
        # What names no encryption gets the bucket's.
        Sid       = "EncryptWithKmsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns.state}/*"
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
        }
      },
      {
        Sid       = "EncryptWithTheStateKeyOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns.state}/*"
        Condition = {
          Null         = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "false" }
          ArnNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = aws_kms_key.state.arn }
        }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.state]
}

locals {
  # `init` lists workspaces, which lie under a prefix of their own: a condition on the prefix would refuse that.
  find_the_state = {
    Sid      = "FindTheState"
    Effect   = "Allow"
    Action   = "s3:ListBucket"
    Resource = local.bucket_arns.state
  }

  read_the_state = [
    local.find_the_state,
    {
      Sid      = "ReadTheState"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = [local.state_object]
    },
    {
      Sid       = "DecryptTheState"
      Effect    = "Allow"
      Action    = "kms:Decrypt"
      Resource  = aws_kms_key.state.arn
      Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
    },
  ]

  write_the_state = [
    local.find_the_state,
    {
      Sid      = "ReadAndWriteTheState"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = [local.state_object, local.state_lock]
    },
    {
      Sid      = "ReleaseTheLock"
      Effect   = "Allow"
      Action   = "s3:DeleteObject"
      Resource = local.state_lock
    },
    {
      Sid       = "EncryptAndDecryptTheState"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = aws_kms_key.state.arn
      Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
    },
  ]
}

resource "aws_iam_role_policy" "state" {
  for_each = { plan = local.read_the_state, apply = local.write_the_state }

  name = "state"
  role = aws_iam_role.this[each.key].name

  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}
