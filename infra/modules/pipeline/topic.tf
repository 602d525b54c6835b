# Says that a run awaits approval and how it ended. At least once: subscribers deduplicate by run.
resource "aws_sns_topic" "notifications" {
  name              = local.topic_name
  kms_master_key_id = aws_kms_key.data.arn
}

resource "aws_sns_topic_policy" "notifications" {
  arn = aws_sns_topic.notifications.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PublishOverTlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        # Nobody else may tell an approver what to approve.
        Sid       = "PublishAsThePipelineOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = {
          ArnNotLike = { "aws:PrincipalArn" = concat(local.role_principals["approve-package"], local.role_principals["seal-run"]) }
        }
      },
    ]
  })
}

# What alarms and rules tell. Apart from the other, so that nobody who may raise an alarm can tell an approver anything.
resource "aws_sns_topic" "alerts" {
  name              = "${var.name}-alerts"
  kms_master_key_id = aws_kms_key.data.arn
}

resource "aws_sns_topic_policy" "alerts" {
  arn = aws_sns_topic.alerts.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PublishOverTlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.alerts_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "TellOfAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.${local.dns_suffix}" }
        Action    = "sns:Publish"
        Resource  = local.alerts_arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      {
        # EventBridge knows no condition in a topic's policy.
        Sid       = "TellOfEvents"
        Effect    = "Allow"
        Principal = { Service = "events.${local.dns_suffix}" }
        Action    = "sns:Publish"
        Resource  = local.alerts_arn
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "alerts" {
  for_each = var.alert_subscribers

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = each.value.protocol
  endpoint  = each.value.endpoint
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.subscribers

  topic_arn = aws_sns_topic.notifications.arn
  protocol  = "email"
  endpoint  = each.value
}
