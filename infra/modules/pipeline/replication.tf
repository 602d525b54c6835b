# Copies for another region or account: what was verified there is verified again before it serves, so a copy needs no
# walls of its own but the bucket's. Deletions are not copied.
locals {
  replicated = var.replication == null ? {} : var.replication.bucket_arns

  # All of the evidence. Of the work bucket, what an environment elsewhere needs to serve: people's data that it can do
  # without stays in one place, since deletions are not copied.
  copied = {
    evidence = [""]
    intake   = ["requests/"]
    work     = ["artifacts/", "baselines/", "datasets/"]
  }

  replication_alarms = merge([
    for purpose, arn in local.replicated : merge([
      for prefix in local.copied[purpose] : {
        for metric in ["latency", "failed"] : "${metric}-${purpose}${trimsuffix(prefix == "" ? "" : "-${prefix}", "/")}" => {
          metric = metric
          dimensions = {
            SourceBucket      = local.bucket_names[purpose]
            DestinationBucket = replace(arn, "/^.*:::/", "")
            RuleId            = prefix == "" ? "everything" : trimsuffix(prefix, "/")
          }
        }
      }
    ]...)
  ]...)
}

resource "aws_iam_role" "replication" {
  count = var.replication == null ? 0 : 1

  name                 = "${var.name}-replication"
  description          = "What S3 may do to copy ${var.name}'s buckets"
  permissions_boundary = aws_iam_policy.replication_boundary[0].arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

locals {
  replication_statements = [
    {
      Sid      = "SeeWhatIsToBeCopied"
      Effect   = "Allow"
      Action   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
      Resource = [for purpose in sort(keys(local.replicated)) : local.bucket_arns[purpose]]
    },
    {
      Sid      = "ReadWhatIsToBeCopied"
      Effect   = "Allow"
      Action   = ["s3:GetObjectLegalHold", "s3:GetObjectRetention", "s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"]
      Resource = [for purpose in sort(keys(local.replicated)) : "${local.bucket_arns[purpose]}/*"]
    },
    {
      Sid      = "WriteTheCopies"
      Effect   = "Allow"
      Action   = ["s3:ReplicateObject", "s3:ReplicateTags"]
      Resource = [for arn in sort(values(local.replicated)) : "${arn}/*"]
    },
    {
      Sid       = "DecryptHere"
      Effect    = "Allow"
      Action    = "kms:Decrypt"
      Resource  = aws_kms_key.data.arn
      Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
    },
    {
      Sid      = "EncryptThere"
      Effect   = "Allow"
      Action   = ["kms:Encrypt", "kms:GenerateDataKey"]
      Resource = try(var.replication.kms_key_arn, null)
    },
  ]
}

# The pipeline's own boundary keeps its roles in the account; this role has to leave it, and to do nothing else.
resource "aws_iam_policy" "replication_boundary" {
  count = var.replication == null ? 0 : 1

  name        = "${var.name}-replication-boundary"
  description = "Permissions boundary of ${var.name}'s replication"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local.replication_statements })
}

resource "aws_iam_role_policy" "replication" {
  count = var.replication == null ? 0 : 1

  name   = "permissions"
  role   = aws_iam_role.replication[0].name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.replication_statements })
}

resource "aws_s3_bucket_replication_configuration" "this" {
  for_each = local.replicated

  bucket = aws_s3_bucket.this[each.key].id
  role   = aws_iam_role.replication[0].arn

  dynamic "rule" {
    for_each = local.copied[each.key]

    content {
      id       = rule.value == "" ? "everything" : trimsuffix(rule.value, "/")
      priority = rule.key
      status   = "Enabled"

      filter {
        prefix = rule.value
      }

      # Who can delete here must not be able to delete there.
      delete_marker_replication {
        status = "Disabled"
      }

      source_selection_criteria {
        sse_kms_encrypted_objects {
          status = "Enabled"
        }
      }

      destination {
        bucket        = each.value
        storage_class = "STANDARD_IA"

        encryption_configuration {
          replica_kms_key_id = var.replication.kms_key_arn
        }

        metrics {
          status = "Enabled"

          event_threshold {
            minutes = 15
          }
        }

        replication_time {
          status = "Enabled"

          time {
            minutes = 15
          }
        }
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

# Within an hour everything is there, or somebody knows: S3 promises 15 minutes.
resource "aws_cloudwatch_metric_alarm" "replication" {
  for_each = local.replication_alarms

  alarm_name          = "${var.name}-replication-${each.key}"
  alarm_description   = each.value.metric == "latency" ? "Copies of ${each.key} come late: what is written now would be lost with this account" : "S3 could not copy an object: see the bucket's events, and that the destination still takes copies"
  namespace           = "AWS/S3"
  metric_name         = each.value.metric == "latency" ? "ReplicationLatency" : "OperationsFailedReplication"
  dimensions          = each.value.dimensions
  statistic           = each.value.metric == "latency" ? "Maximum" : "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.metric == "latency" ? 1800 : 0
  period              = 300
  evaluation_periods  = 1
  # S3 tells nothing where nothing waits to be copied.
  treat_missing_data = "notBreaching"
  alarm_actions      = [aws_sns_topic.alerts.arn]
  ok_actions         = [aws_sns_topic.alerts.arn]
}
