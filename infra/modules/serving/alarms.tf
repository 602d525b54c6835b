locals {
  # Their names are told to the functions, and their ARNs are in deploy-endpoint's policy: they must not change.
  guardrail_names = {
    for name in keys(var.endpoints) : name => ["${var.name}-${name}-5xx", "${var.name}-${name}-latency"]
  }

  # What tells somebody, and undoes nothing. A caller can cause both at will, and must not be able to undo a deployment
  # by asking nonsense.
  notices = merge([
    for name, endpoint in var.endpoints : {
      for notice, settings in {
        "4xx" = {
          metric      = "Invocation4XXErrors"
          threshold   = endpoint.max_4xx_errors
          description = "Endpoint ${name} refuses requests: its callers send what it does not understand"
        }
        "model-errors" = {
          metric      = "InvocationModelErrors"
          threshold   = endpoint.max_model_errors
          description = "The container of endpoint ${name} answers with errors, not at all, or too late"
        }
      } : "${name}-${notice}" => merge(settings, { endpoint = name }) if settings.threshold != null
    }
  ]...)

  alarm_actions = var.topic_arn == null ? [] : [var.topic_arn]
}

# A deployment that makes one of these fire is rolled back. An endpoint that does not exist yet sends nothing,
# and nothing is not a breach: the first deployment would otherwise undo itself.
resource "aws_cloudwatch_metric_alarm" "server_errors" {
  for_each = var.endpoints

  alarm_name          = local.guardrail_names[each.key][0]
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
  alarm_actions       = local.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  for_each = var.endpoints

  alarm_name          = local.guardrail_names[each.key][1]
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
  alarm_actions       = local.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "notice" {
  for_each = local.notices

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/SageMaker"
  metric_name         = each.value.metric
  dimensions          = { EndpointName = each.value.endpoint, VariantName = var.variant_name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = var.endpoints[each.value.endpoint].period_seconds
  evaluation_periods  = var.endpoints[each.value.endpoint].evaluation_periods
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
}
