resource "aws_guardduty_detector" "this" {
  #checkov:skip=CKV2_AWS_3:Whether an organization switches detectors on is the organization's to say; this one is on.
  count = var.guardduty.detector ? 1 : 0

  enable                       = true
  finding_publishing_frequency = "FIFTEEN_MINUTES"
}

resource "aws_guardduty_detector_feature" "this" {
  for_each = var.guardduty.detector ? var.guardduty.features : []

  detector_id = aws_guardduty_detector.this[0].id
  name        = each.key
  status      = "ENABLED"
}

# Whoever made the detector: its findings are about this account.
resource "aws_cloudwatch_event_rule" "findings" {
  name        = "${var.name}-guardduty"
  description = "GuardDuty found something of severity ${var.guardduty.min_severity} or more"

  event_pattern = jsonencode({
    source      = ["aws.guardduty"]
    detail-type = ["GuardDuty Finding"]
    detail      = { severity = [{ numeric = [">=", var.guardduty.min_severity] }] }
  })
}

resource "aws_cloudwatch_event_target" "findings" {
  rule      = aws_cloudwatch_event_rule.findings.name
  target_id = "notify"
  arn       = var.topic_arn

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }
}
