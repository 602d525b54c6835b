# Each alarm is an entry here: what it watches, what it bears, and why it treats silence as it does. The output
# `alarms` says the same with a datapoint that fires it, which is what tests put.

locals {
  endpoint_alarms = merge([
    for name, endpoint in var.endpoints : {
      # SageMaker counts the container's answers of 500 and above; what never answered, it counts as a model error.
      "endpoint-${name}-server-errors" = {
        description = "Endpoint ${name} answers with server errors: more than ${endpoint.max_errors_per_minute} a minute"
        namespace   = "AWS/SageMaker"
        metric      = "Invocation5XXErrors"
        dimensions  = { EndpointName = name, VariantName = endpoint.variant }
        statistic   = "Sum"
        period      = 60
        periods     = endpoint.evaluation_periods
        threshold   = endpoint.max_errors_per_minute
        missing     = "notBreaching" # without invocations there are no errors, and no datapoints
        unit        = "None"
      }
      "endpoint-${name}-model-errors" = {
        description = "Endpoint ${name}: invocations of the model fail, those that time out or end without an answer included: more than ${endpoint.max_errors_per_minute} a minute"
        namespace   = "AWS/SageMaker"
        metric      = "InvocationModelErrors"
        dimensions  = { EndpointName = name, VariantName = endpoint.variant }
        statistic   = "Sum"
        period      = 60
        periods     = endpoint.evaluation_periods
        threshold   = endpoint.max_errors_per_minute
        missing     = "notBreaching"
        unit        = "None"
      }
      # The caller's mistakes. Few are noise; many are a broken client, or somebody who tries things.
      "endpoint-${name}-client-errors" = {
        description = "Endpoint ${name} refuses what it is sent: more than ${endpoint.max_client_errors_per_minute} a minute"
        namespace   = "AWS/SageMaker"
        metric      = "Invocation4XXErrors"
        dimensions  = { EndpointName = name, VariantName = endpoint.variant }
        statistic   = "Sum"
        period      = 60
        periods     = endpoint.evaluation_periods
        threshold   = endpoint.max_client_errors_per_minute
        missing     = "notBreaching"
        unit        = "None"
      }
      "endpoint-${name}-slow" = {
        description = "Endpoint ${name}: one answer in a hundred takes longer than ${endpoint.max_p99_milliseconds} ms"
        namespace   = "AWS/SageMaker"
        metric      = "ModelLatency"
        dimensions  = { EndpointName = name, VariantName = endpoint.variant }
        statistic   = "p99"
        period      = 60
        periods     = endpoint.evaluation_periods
        threshold   = endpoint.max_p99_milliseconds * 1000 # SageMaker counts microseconds
        missing     = "notBreaching"
        unit        = "Microseconds"
      }
      # monitor-drift puts 1 or 0 for each judgement. One stands until the next.
      "endpoint-${name}-drift" = {
        description = "Endpoint ${name} serves other data than it was trained for"
        namespace   = local.own_namespace
        metric      = "DriftDetected"
        dimensions  = { Endpoint = name }
        statistic   = "Maximum"
        period      = 3600
        periods     = 1
        threshold   = 0
        missing     = "ignore"
        unit        = "Count"
      }
    }
  ]...)

  run_alarms = {
    for outcome, metric in { failed = "ExecutionsFailed", timed-out = "ExecutionsTimedOut", aborted = "ExecutionsAborted" } : "executions-${outcome}" => {
      description                   = outcome == "failed" ? "A run was refused by a gate, or failed: its record says which" : "A run was ${replace(outcome, "-", " ")}, and reached none of its own ends: seal-run must have sealed it"
      namespace                     = "AWS/States"
      metric                        = metric
      dimensions                    = { StateMachineArn = var.state_machine_arn }
      statistic                     = "Sum"
      period                        = 300
      periods                       = 1
      threshold                     = 0
      missing                       = "notBreaching" # a day without runs is no fault
      unit                          = "Count"
    }
  }

  function_alarms = merge(
    {
      for verb, name in var.function_names : "${verb}-throttled" => {
        description = "${name} is throttled: more than ${var.limits.throttles} times in five minutes"
        namespace   = "AWS/Lambda"
        metric      = "Throttles"
        dimensions  = { FunctionName = name }
        statistic   = "Sum"
        period      = 300
        periods     = 1
        threshold   = var.limits.throttles
        missing     = "notBreaching"
        unit        = "Count"
      }
    },
    {
      for verb in var.functions_that_never_refuse : "${verb}-errors" => {
        description = "${var.function_names[verb]} failed. It judges nothing, so this is a fault: see its log"
        namespace   = "AWS/Lambda"
        metric      = "Errors"
        dimensions  = { FunctionName = var.function_names[verb] }
        statistic   = "Sum"
        period      = 300
        periods     = 1
        threshold   = 0
        missing     = "notBreaching"
        unit        = "Count"
      }
    },
    {
      function-faults = {
        description = "Functions fail for reasons that are no verdict: more than ${var.limits.faults} times in five minutes. The query `refusals and faults by gate` says which"
        namespace   = local.log_namespace
        metric      = "Faults"
        dimensions  = {}
        statistic   = "Sum"
        period      = 300
        periods     = 1
        threshold   = var.limits.faults
        missing     = "notBreaching"
        unit        = "Count"
      }
    },
  )

  finding_alarms = {
    critical-findings = {
      description = "An image of ${var.repository_name} has critical findings. If it serves, stop or replace it; if it was to be deployed, the gate refused it"
      namespace   = local.log_namespace
      metric      = "CriticalFindings"
      dimensions  = {}
      statistic   = "Sum"
      period      = 60
      periods     = 1
      threshold   = 0
      missing     = "notBreaching"
      unit        = "Count"
    }
  }

  delivery_alarms = merge(
    { for key, alarm in {
      dead-letters = {
        description = "An event reached nobody, and lies in ${coalesce(var.dead_letter_queue_name, "-")}"
        namespace   = "AWS/SQS"
        metric      = "ApproximateNumberOfMessagesVisible"
        dimensions  = { QueueName = var.dead_letter_queue_name }
        statistic   = "Maximum"
        period      = 60
        periods     = 1
        threshold   = 0
        missing     = "notBreaching" # SQS falls silent once a queue has been empty for six hours
        unit        = "Count"
      }
      dead-letters-old = {
        description = "Nobody has looked at ${coalesce(var.dead_letter_queue_name, "-")} for more than ${var.limits.dead_letter_seconds} s"
        namespace   = "AWS/SQS"
        metric      = "ApproximateAgeOfOldestMessage"
        dimensions  = { QueueName = var.dead_letter_queue_name }
        statistic   = "Maximum"
        period      = 300
        periods     = 1
        threshold   = var.limits.dead_letter_seconds
        missing     = "notBreaching"
        unit        = "Seconds"
      }
    } : key => alarm if var.dead_letter_queue_name != null },
    {
      for rule in var.rule_names : "rule-${rule}-failed" => {
        description = "The rule ${rule} could not reach its target"
        namespace   = "AWS/Events"
        metric      = "FailedInvocations"
        dimensions  = { RuleName = rule }
        statistic   = "Sum"
        period      = 300
        periods     = 1
        threshold   = 0
        missing     = "notBreaching" # EventBridge sends it only when it is not zero
        unit        = "Count"
      }
    },
  )

  trail_alarms = {
    for key, alarm in {
      unauthorised-calls = {
        description = "More than ${var.limits.unauthorised_calls} calls were refused in five minutes: the query `denied calls` says whose"
        metric      = "UnauthorisedCalls"
        threshold   = var.limits.unauthorised_calls
      }
      failed-sign-ins = {
        description = "More than ${var.limits.failed_sign_ins} sign-ins failed in five minutes"
        metric      = "FailedSignIns"
        threshold   = var.limits.failed_sign_ins
      }
      root-use = {
        description = "The account's root did something"
        metric      = "RootUse"
        threshold   = 0
      }
      keys-disabled = {
        description = "A key was disabled, stopped rotating, or is to be deleted. Without its keys a deployment can neither sign nor read"
        metric      = "KeysDisabled"
        threshold   = 0
      }
      strangers-on-keys = {
        description = "Somebody unknown used a signing key, or changed a key: what was signed since is in doubt"
        metric      = "StrangersOnKeys"
        threshold   = 0
      }
      strangers-on-models = {
        description = "Somebody unknown changed a model or an endpoint: what serves may not be what was verified"
        metric      = "StrangersOnModels"
        threshold   = 0
      }
      trail-changed = {
        description = "The trail was stopped or changed: the other alarms may be blind"
        metric      = "TrailChanged"
        threshold   = 0
      }
      } : key => merge(alarm, {
        namespace  = local.log_namespace
        dimensions = {}
        statistic  = "Sum"
        period     = 300
        periods    = 1
        missing    = "notBreaching"
        unit       = "Count"
    }) if var.trail_log_group != null
  }

  alarms = merge(local.endpoint_alarms, local.run_alarms, local.function_alarms, local.finding_alarms, local.delivery_alarms, local.trail_alarms)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = [var.topic_arn]
  ok_actions          = var.notify_recovery ? [var.topic_arn] : []
}
