locals {
  alarm_names = {
    for name in keys(var.endpoints) : name => ["${var.name}-${name}-5xx", "${var.name}-${name}-latency"]
  }
}

# A deployment that makes one of these fire is rolled back. An endpoint that does not exist yet sends nothing,
# and nothing is not a breach: the first deployment would otherwise undo itself.
resource "aws_cloudwatch_metric_alarm" "server_errors" {
  for_each = var.endpoints

  alarm_name          = local.alarm_names[each.key][0]
  alarm_description   = "Endpoint ${each.key} answers with server errors"
  namespace           = "AWS/SageMaker"
  metric_name         = "Invocation5XXErrors"
  dimensions          = { EndpointName = each.key, VariantName = var.variant_name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.max_5xx_errors
  period              = each.value.period_seconds
  evaluation_periods  = each.value.evaluation_periods
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  for_each = var.endpoints

  alarm_name          = local.alarm_names[each.key][1]
  alarm_description   = "Endpoint ${each.key} answers slowly: one answer in a hundred takes longer than ${each.value.max_p99_milliseconds} ms"
  namespace           = "AWS/SageMaker"
  metric_name         = "ModelLatency"
  dimensions          = { EndpointName = each.key, VariantName = var.variant_name }
  extended_statistic  = "p99"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.max_p99_milliseconds * 1000 # SageMaker counts microseconds
  period              = each.value.period_seconds
  evaluation_periods  = each.value.evaluation_periods
  treat_missing_data  = "notBreaching"
}
