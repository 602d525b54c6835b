# Every region: a stolen key is tried where nobody looks. One for the account: of several, each further one is billed.
resource "aws_cloudtrail" "this" {
  #checkov:skip=CKV_AWS_252:Delivery of each file is no news; what the files say is alarmed on through the log group.
  name                          = local.trail_name
  s3_bucket_name                = aws_s3_bucket.this["trail"].id
  kms_key_id                    = aws_kms_key.audit.arn
  is_multi_region_trail         = true
  include_global_service_events = true
  enable_log_file_validation    = true
  cloud_watch_logs_group_arn    = "${aws_cloudwatch_log_group.trail.arn}:*"
  cloud_watch_logs_role_arn     = aws_iam_role.this["trail"].arn

  advanced_event_selector {
    name = "What is done to the account"

    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
  }

  advanced_event_selector {
    name = "What is done to objects of requests, models and evidence"

    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }
    field_selector {
      field  = "resources.type"
      equals = ["AWS::S3::Object"]
    }
    field_selector {
      field       = "resources.ARN"
      starts_with = [for purpose in sort(keys(local.audited_buckets)) : "${local.audited_buckets[purpose]}/"]
    }
  }

  advanced_event_selector {
    name = "Who invokes the functions"

    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }
    field_selector {
      field  = "resources.type"
      equals = ["AWS::Lambda::Function"]
    }
    field_selector {
      field       = "resources.ARN"
      starts_with = [local.functions]
    }
  }

  dynamic "advanced_event_selector" {
    for_each = var.table_name == null ? [] : [var.table_name]

    content {
      name = "Who reads and writes what runs wait for"

      field_selector {
        field  = "eventCategory"
        equals = ["Data"]
      }
      field_selector {
        field  = "resources.type"
        equals = ["AWS::DynamoDB::Table"]
      }
      field_selector {
        field  = "resources.ARN"
        equals = ["arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/${advanced_event_selector.value}"]
      }
    }
  }

  dynamic "insight_selector" {
    for_each = var.trail.insights

    content {
      insight_type = insight_selector.value
    }
  }

  # CloudTrail tries bucket, key and role when it is made.
  depends_on = [aws_s3_bucket_policy.this, aws_kms_key_policy.audit, aws_iam_role_policy.this]
}

resource "aws_cloudwatch_log_group" "trail" {
  #checkov:skip=CKV_AWS_338:The bucket keeps the trail for years; here it is kept for filters and quick questions.
  name              = local.trail_log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.audit.arn

  depends_on = [aws_kms_key_policy.audit]
}
