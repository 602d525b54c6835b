# Roles that services take on to carry records.

locals {
  siem_streams = var.siem == null ? {} : { for stream in ["logs", "events"] : stream => "${var.name}-siem-${stream}" }
  stream_arns = {
    for stream, name in local.siem_streams : stream => "arn:${local.partition}:firehose:${local.region}:${local.account_id}:deliverystream/${name}"
  }

  roles = merge(
    {
      trail = {
        service   = "cloudtrail.amazonaws.com"
        condition = { StringEquals = { "aws:SourceAccount" = local.account_id, "aws:SourceArn" = local.trail_arn } }
      }
    },
    { for key, role in {
      # Firehose says whose stream it is in this way, and in no other.
      siem-deliver = {
        service   = "firehose.amazonaws.com"
        condition = { StringEquals = { "sts:ExternalId" = local.account_id } }
      }
      siem-logs = {
        service = "logs.amazonaws.com"
        condition = {
          StringEquals = { "aws:SourceAccount" = local.account_id }
          ArnLike      = { "aws:SourceArn" = [for group in sort(values(local.siem_groups)) : "${local.log_group_prefix}:${group}:*"] }
        }
      }
      siem-events = {
        service = "events.amazonaws.com"
        condition = {
          StringEquals = { "aws:SourceAccount" = local.account_id }
          ArnEquals    = { "aws:SourceArn" = "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${local.siem_rule}" }
        }
      }
    } : key => role if var.siem != null },
  )

  siem_to_bucket = try(var.siem.kind, "") == "bucket"

  # Where Firehose writes: the backup bucket, and the SIEM's where that is one.
  siem_targets = concat(
    [{ bucket = try(local.bucket_arns["siem-backup"], ""), key = aws_kms_key.audit.arn, name = "Backup" }],
    local.siem_to_bucket ? [{ bucket = var.siem.bucket_arn, key = var.siem.key_arn, name = "TheSiem" }] : [],
  )

  role_statements = {
    trail = [{
      Sid    = "WriteTheTrailsStream"
      Effect = "Allow"
      Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
      # CloudTrail names its streams so.
      Resource = "${local.log_group_prefix}:${local.trail_log_group}:log-stream:${local.account_id}_CloudTrail_${local.region}*"
    }]
    siem-deliver = concat(
      flatten([
        for target in local.siem_targets : [
          {
            Sid      = "WriteTo${target.name}"
            Effect   = "Allow"
            Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"] # as AWS lists them for Firehose
            Resource = "${target.bucket}/*"
          },
          {
            Sid      = "FindTheBucketOf${target.name}"
            Effect   = "Allow"
            Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
            Resource = target.bucket
          },
          {
            Sid       = "EncryptIn${target.name}"
            Effect    = "Allow"
            Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
            Resource  = target.key
            Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
          },
        ]
      ]),
      [{
        Sid      = "SayWhatWasNotDelivered"
        Effect   = "Allow"
        Action   = "logs:PutLogEvents"
        Resource = "${local.log_group_prefix}:${local.siem_log_group}:log-stream:*"
      }],
      [for secret in compact([try(var.siem.secret_arn, "")]) : {
        Sid      = "ReadTheAccessKey"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = secret
      }],
      [for key in compact([try(var.siem.secret_key_arn, "")]) : {
        Sid       = "DecryptTheAccessKey"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = key
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${local.region}.${local.dns_suffix}" } }
      }],
    )
    siem-logs = [{
      Sid      = "SendLogs"
      Effect   = "Allow"
      Action   = ["firehose:PutRecord", "firehose:PutRecordBatch"]
      Resource = try(local.stream_arns["logs"], "")
    }]
    siem-events = [{
      Sid      = "SendEvents"
      Effect   = "Allow"
      Action   = ["firehose:PutRecord", "firehose:PutRecordBatch"]
      Resource = try(local.stream_arns["events"], "")
    }]
  }
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name        = "${var.name}-audit-${each.key}"
  description = "What ${each.value.service} may do to carry ${var.name}'s records"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ServeThisAccountOnly"
      Effect    = "Allow"
      Principal = { Service = each.value.service }
      Action    = "sts:AssumeRole"
      Condition = each.value.condition
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.roles

  name = "permissions"
  role = aws_iam_role.this[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.role_statements[each.key]
  })
}
