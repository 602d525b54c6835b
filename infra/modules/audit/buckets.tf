locals {
  # S3 delivers access logs to a bucket that S3 itself encrypts, without a default lock, and to no other.
  buckets = toset(concat(["trail", "access-logs", "athena"], var.siem == null ? [] : ["siem-backup"]))

  # [days until they go, days until former versions go]
  expiry = {
    trail       = [var.trail.kept_days, 30]
    access-logs = [var.access_log_days, 30]
    athena      = [var.athena.result_days, 1]
    siem-backup = [90, 1]
  }

  # Those whose objects say what happened.
  records = toset(["trail", "access-logs"])

  access_log_prefix = "s3/"
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144:Copies in another region are a choice of the log archive: `siem` of kind bucket sends one there.
  #checkov:skip=CKV2_AWS_62:Nobody waits for these objects; what matters in them is alarmed on through logs and events.
  #checkov:skip=CKV_AWS_145:All but the access logs' are encrypted with the audit key; S3 delivers access logs to SSE-S3 alone.
  #checkov:skip=CKV_AWS_18:Every bucket but the one that holds the access logs has them; that one would log its own logging.
  for_each = local.buckets

  bucket              = local.bucket_names[each.key]
  force_destroy       = var.force_destroy
  object_lock_enabled = each.key == "trail"
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    # CloudTrail says to KMS which trail it encrypts for, and the key's policy asks for that. With a bucket key S3
    # would say its own ARN instead.
    bucket_key_enabled = contains(["athena", "siem-backup"], each.key)

    apply_server_side_encryption_by_default {
      sse_algorithm     = each.key == "access-logs" ? "AES256" : "aws:kms"
      kms_master_key_id = each.key == "access-logs" ? null : aws_kms_key.audit.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.buckets

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = local.expiry[each.key][0]
    }

    # With versions, expiring hides an object; this is what deletes it. What is locked stays until it is not.
    noncurrent_version_expiration {
      noncurrent_days = local.expiry[each.key][1]
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }

    # Athena reads this class like any other, and nobody has to restore what an auditor asks for.
    dynamic "transition" {
      for_each = each.key == "trail" ? [var.trail.archived_after_days] : []

      content {
        days          = transition.value
        storage_class = "GLACIER_IR"
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_object_lock_configuration" "trail" {
  bucket = aws_s3_bucket.this["trail"].id

  rule {
    default_retention {
      mode = var.trail.lock_mode
      days = var.trail.locked_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_logging" "this" {
  for_each = setsubtract(local.buckets, ["access-logs"])

  bucket        = aws_s3_bucket.this[each.key].id
  target_bucket = aws_s3_bucket.this["access-logs"].id
  target_prefix = local.access_log_prefix

  # By the day of the request, which is what the table reads by.
  target_object_key_format {
    partitioned_prefix {
      partition_date_source = "EventTime"
    }
  }

  depends_on = [aws_s3_bucket_policy.this]
}

locals {
  bucket_statements = {
    trail = [
      {
        Sid       = "LookAtTheBucketForTheTrail"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:GetBucketAcl"
        Resource  = local.bucket_arns["trail"]
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
      },
      {
        Sid       = "WriteTheTrail"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns["trail"]}/AWSLogs/${local.account_id}/*"
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn, "s3:x-amz-acl" = "bucket-owner-full-control" } }
      },
      {
        # A forged file beside the trail's would be read like one. Of the services, only the one above is allowed.
        Sid       = "WriteAsAServiceOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns["trail"]}/*"
        Condition = { Bool = { "aws:PrincipalIsAWSService" = "false" } }
      },
    ]
    access-logs = concat(var.access_log_statements, [
      {
        Sid       = "DeliverAccessLogs"
        Effect    = "Allow"
        Principal = { Service = "logging.s3.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns["access-logs"]}/${local.access_log_prefix}*"
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account_id }
          ArnLike      = { "aws:SourceArn" = concat(values(local.audited_buckets), var.logged_bucket_arns, [for purpose in sort(local.buckets) : local.bucket_arns[purpose] if purpose != "access-logs"]) }
        }
      },
      {
        Sid       = "WriteAsAServiceOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns["access-logs"]}/*"
        Condition = { Bool = { "aws:PrincipalIsAWSService" = "false" } }
      },
    ])
    athena      = []
    siem-backup = []
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "SpeakTlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arns[each.key], "${local.bucket_arns[each.key]}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      # What lifecycle rules delete is not asked for here. An environment that may be emptied must be able to.
      var.force_destroy || !contains(local.records, each.key) ? [] : [{
        Sid       = "NeverDelete"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]
        Resource  = "${local.bucket_arns[each.key]}/*"
      }],
      local.bucket_statements[each.key],
    )
  })

  depends_on = [aws_s3_bucket_public_access_block.this]
}
