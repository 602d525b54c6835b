output "alarms" {
  description = "Each alarm with its metric, what it bears (in the metric's own unit, over `period` seconds), how it treats missing data, and a datapoint that fires it when put in each of `periods` successive periods."
  value = {
    for key, alarm in local.alarms : key => {
      name       = "${var.name}-${key}"
      namespace  = alarm.namespace
      metric     = alarm.metric
      dimensions = alarm.dimensions
      statistic  = alarm.statistic
      period     = alarm.period
      periods    = alarm.periods
      comparison = "GreaterThanThreshold"
      threshold  = alarm.threshold
      missing    = alarm.missing
      sample     = { value = alarm.threshold + 1, unit = alarm.unit }
    }
  }
}

output "alarm_arns" {
  description = "ARNs of the alarms by key."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.arn }
}

output "metric_filters" {
  description = "Each metric filter with its log group, its pattern and what that is made of, the metric that it counts in, and lines that it must and must not match."
  value = {
    for key, filter in local.filters : key => {
      name       = "${var.name}-${key}"
      log_group  = filter.log_group
      pattern    = local.filter_patterns[key]
      words      = filter.words
      clauses    = filter.clauses
      namespace  = local.log_namespace
      metric     = filter.metric
      dimensions = filter.dimensions
      matches    = filter.matches
      ignores    = filter.ignores
    }
  }
}

output "log_group_names" {
  description = "Log groups that this makes. The data key's policy must let CloudWatch Logs use it for each: SageMaker's names do not begin with the deployment's."
  value       = sort(local.log_groups)
}

output "log_group_arns" {
  description = "The same by ARN, as the condition `kms:EncryptionContext:aws:logs:arn` has them."
  value       = [for name in sort(local.log_groups) : "${local.log_group_prefix}:${name}"]
}

output "dashboard_name" {
  description = "The dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "queries" {
  description = "The Insights queries by name, with the log groups that they ask; saved if `save_queries` is set."
  value       = { for question, query in local.queries : "${var.name}/${question}" => query }
}
