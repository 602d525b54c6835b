# Two streams, since Firehose takes apart what CloudWatch Logs packs and fails on what is not packed.

locals {
  siem_rule      = "${var.name}-siem"
  siem_log_group = "/aws/kinesisfirehose/${var.name}-siem"
  siem_groups    = var.siem == null ? {} : merge({ trail = local.trail_log_group }, var.siem_log_groups)
}

resource "aws_kinesis_firehose_delivery_stream" "siem" {
  for_each = local.siem_streams

  name        = each.value
  destination = local.siem_to_bucket ? "extended_s3" : "http_endpoint"

  server_side_encryption {
    enabled  = true
    key_type = "CUSTOMER_MANAGED_CMK"
    key_arn  = aws_kms_key.audit.arn
  }

  dynamic "http_endpoint_configuration" {
    for_each = local.siem_to_bucket ? [] : [var.siem]

    content {
      name               = "siem"
      url                = http_endpoint_configuration.value.url
      role_arn           = aws_iam_role.this["siem-deliver"].arn
      buffering_interval = http_endpoint_configuration.value.buffer_seconds
      buffering_size     = 1
      retry_duration     = 3600
      s3_backup_mode     = "FailedDataOnly"

      # By reference: the key is in no plan and in no state.
      secrets_manager_configuration {
        enabled    = true
        secret_arn = http_endpoint_configuration.value.secret_arn
        role_arn   = aws_iam_role.this["siem-deliver"].arn
      }

      request_configuration {
        content_encoding = "GZIP"
      }

      s3_configuration {
        role_arn            = aws_iam_role.this["siem-deliver"].arn
        bucket_arn          = aws_s3_bucket.this["siem-backup"].arn
        prefix              = "undelivered/${each.key}/"
        error_output_prefix = "failed/${each.key}/"
        compression_format  = "GZIP"
        kms_key_arn         = aws_kms_key.audit.arn

        cloudwatch_logging_options {
          enabled         = true
          log_group_name  = local.siem_log_group
          log_stream_name = "${each.key}-backup"
        }
      }

      cloudwatch_logging_options {
        enabled         = true
        log_group_name  = local.siem_log_group
        log_stream_name = each.key
      }

      dynamic "processing_configuration" {
        for_each = each.key == "logs" ? [true] : []

        content {
          enabled = true

          processors {
            type = "Decompression"

            parameters {
              parameter_name  = "CompressionFormat"
              parameter_value = "GZIP"
            }
          }
        }
      }
    }
  }

  dynamic "extended_s3_configuration" {
    for_each = local.siem_to_bucket ? [var.siem] : []

    content {
      role_arn            = aws_iam_role.this["siem-deliver"].arn
      bucket_arn          = extended_s3_configuration.value.bucket_arn
      kms_key_arn         = extended_s3_configuration.value.key_arn
      prefix              = "${var.name}/${local.account_id}/${each.key}/!{timestamp:yyyy/MM/dd}/"
      error_output_prefix = "${var.name}/${local.account_id}/failed/${each.key}/!{firehose:error-output-type}/"
      compression_format  = each.key == "logs" ? "UNCOMPRESSED" : "GZIP" # CloudWatch Logs sends it packed
      file_extension      = each.key == "logs" ? ".gz" : null
      buffering_interval  = extended_s3_configuration.value.buffer_seconds
      buffering_size      = 5
      s3_backup_mode      = "Enabled"

      # What the archive's account loses or refuses is here for a while.
      s3_backup_configuration {
        role_arn            = aws_iam_role.this["siem-deliver"].arn
        bucket_arn          = aws_s3_bucket.this["siem-backup"].arn
        prefix              = "sent/${each.key}/"
        error_output_prefix = "failed/${each.key}/"
        compression_format  = each.key == "logs" ? "UNCOMPRESSED" : "GZIP"
        kms_key_arn         = aws_kms_key.audit.arn

        cloudwatch_logging_options {
          enabled         = true
          log_group_name  = local.siem_log_group
          log_stream_name = "${each.key}-backup"
        }
      }

      cloudwatch_logging_options {
        enabled         = true
        log_group_name  = local.siem_log_group
        log_stream_name = each.key
      }

      # Events come without an end of line.
      dynamic "processing_configuration" {
        for_each = each.key == "events" ? [true] : []

        content {
          enabled = true

          processors {
            type = "AppendDelimiterToRecord"

            parameters {
              parameter_name  = "Delimiter"
              parameter_value = "\\n"
            }
          }
        }
      }
    }
  }

  # Firehose tries the role when it is made.
  depends_on = [aws_iam_role_policy.this, aws_kms_key_policy.audit, aws_cloudwatch_log_stream.siem]
}

resource "aws_cloudwatch_log_group" "siem" {
  #checkov:skip=CKV_AWS_338:What could not be delivered is in the backup bucket; this says why, and is read at once or never.
  count = var.siem == null ? 0 : 1

  name              = local.siem_log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.audit.arn

  depends_on = [aws_kms_key_policy.audit]
}

# Firehose does not make its streams of log lines itself.
resource "aws_cloudwatch_log_stream" "siem" {
  for_each = var.siem == null ? [] : toset(flatten([for stream in keys(local.siem_streams) : [stream, "${stream}-backup"]]))

  name           = each.key
  log_group_name = aws_cloudwatch_log_group.siem[0].name
}

resource "aws_cloudwatch_log_subscription_filter" "siem" {
  for_each = local.siem_groups

  name            = local.siem_rule
  log_group_name  = each.key == "trail" ? aws_cloudwatch_log_group.trail.name : each.value
  destination_arn = aws_kinesis_firehose_delivery_stream.siem["logs"].arn
  role_arn        = aws_iam_role.this["siem-logs"].arn
  filter_pattern  = ""
  distribution    = "ByLogStream"

  depends_on = [aws_iam_role_policy.this]
}

# Findings of every scanner, and verdicts: how runs end, who approves what, what comes to serve.
resource "aws_cloudwatch_event_rule" "siem" {
  count = var.siem == null ? 0 : 1

  name        = local.siem_rule
  description = "Findings and verdicts, for the SIEM"

  event_pattern = jsonencode({
    "$or" = [
      {
        source      = ["aws.guardduty", "aws.inspector2", "aws.ecr", "aws.access-analyzer"]
        detail-type = ["GuardDuty Finding", "Inspector2 Finding", "ECR Image Scan", "Access Analyzer Finding"]
      },
      {
        source      = ["aws.states"]
        detail-type = ["Step Functions Execution Status Change"]
        detail      = { stateMachineArn = [var.state_machine_arn] }
      },
      {
        source      = ["aws.sagemaker"]
        detail-type = ["SageMaker Model Package State Change", "SageMaker Endpoint State Change"]
      },
    ]
  })
}

resource "aws_cloudwatch_event_target" "siem" {
  count = var.siem == null ? 0 : 1

  rule      = aws_cloudwatch_event_rule.siem[0].name
  target_id = "siem"
  arn       = aws_kinesis_firehose_delivery_stream.siem["events"].arn
  role_arn  = aws_iam_role.this["siem-events"].arn

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  depends_on = [aws_iam_role_policy.this]
}

# A SIEM that hears nothing looks like a quiet day.
resource "aws_cloudwatch_metric_alarm" "siem" {
  for_each = local.siem_streams

  alarm_name          = "${each.value}-behind"
  alarm_description   = "The SIEM has not taken ${each.key} for more than 15 minutes: see ${local.siem_log_group}"
  namespace           = "AWS/Firehose"
  metric_name         = local.siem_to_bucket ? "DeliveryToS3.DataFreshness" : "DeliveryToHttpEndpoint.DataFreshness"
  dimensions          = { DeliveryStreamName = each.value }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 900
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching" # without records there is nothing to be late with
  alarm_actions       = [var.topic_arn]
}
