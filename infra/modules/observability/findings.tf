# What a scanner finds between two runs concerns the image that serves now, and no gate looks at it: so each result
# is recorded, and the critical ones are counted.
resource "aws_cloudwatch_event_rule" "findings" {
  name        = "${var.name}-findings"
  description = "Findings in images of ${var.repository_name}"

  event_pattern = jsonencode({
    "$or" = [
      {
        source      = ["aws.ecr"]
        detail-type = ["ECR Image Scan"]
        detail      = { repository-name = [var.repository_name] }
      },
      {
        source      = ["aws.inspector2"]
        detail-type = ["Inspector2 Finding"]
        detail = {
          status = ["ACTIVE"]
          resources = {
            type    = ["AWS_ECR_CONTAINER_IMAGE"]
            details = { awsEcrContainerImage = { repositoryName = [var.repository_name] } }
          }
        }
      },
    ]
  })
}

resource "aws_cloudwatch_event_target" "findings" {
  rule      = aws_cloudwatch_event_rule.findings.name
  target_id = "log"
  arn       = aws_cloudwatch_log_group.this[local.findings_log_group].arn

  # A rule that may not write loses its events without a word.
  depends_on = [aws_cloudwatch_log_resource_policy.findings]
}

# EventBridge takes no role for a log group: the group's policy admits it. It says which rule it acts for when it
# writes, and not when it makes a stream.
resource "aws_cloudwatch_log_resource_policy" "findings" {
  policy_name = "${var.name}-findings"

  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "BeginAStreamOfFindings"
        Effect    = "Allow"
        Principal = { Service = local.event_writers }
        Action    = "logs:CreateLogStream"
        Resource  = "${local.log_group_prefix}:${local.findings_log_group}:*"
      },
      {
        Sid       = "RecordFindings"
        Effect    = "Allow"
        Principal = { Service = local.event_writers }
        Action    = "logs:PutLogEvents"
        Resource  = "${local.log_group_prefix}:${local.findings_log_group}:*"
        Condition = {
          ArnEquals = { "aws:SourceArn" = "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${var.name}-findings" }
        }
      },
    ]
  })
}

locals {
  event_writers = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
}
