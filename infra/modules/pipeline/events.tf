locals {
  # Without endpoints there is nothing to respond to, and EventBridge takes no empty list.
  rules = { for name, rule in local.all_rules : name => rule if length(var.endpoint_names) > 0 || !contains(rule.functions, "respond-incident") }

  all_rules = {
    request = {
      description = "A request was uploaded: start a run"
      pattern = {
        source      = ["aws.s3"]
        detail-type = ["Object Created"]
        detail = {
          bucket = { name = [local.bucket_names["intake"]] }
          object = { key = [{ prefix = "requests/" }] }
        }
      }
      schedule  = null
      functions = [] # the pipeline itself
      input     = null
    }
    change = {
      description = "A job, scan, package or endpoint that a run may wait for has changed"
      pattern = {
        source = ["aws.sagemaker", "aws.ecr", "aws.inspector2"]
        detail-type = [
          "SageMaker Training Job State Change",
          "SageMaker Processing Job State Change",
          "SageMaker Model Package State Change",
          "SageMaker Endpoint State Change",
          "ECR Image Scan",
          "Inspector2 Scan",
        ]
      }
      schedule  = null
      functions = ["resume-execution"]
      input     = null
    }
    incident = {
      description = "A guardrail alarm of an endpoint went off: roll back"
      pattern = {
        source      = ["aws.cloudwatch"]
        detail-type = ["CloudWatch Alarm State Change"]
        detail = {
          alarmName = sort(flatten(values(local.alarm_names)))
          state     = { value = ["ALARM"] }
        }
      }
      schedule  = null
      functions = ["respond-incident"]
      input     = null
    }
    finding = {
      description = "A scan found something critical in an image, which an endpoint may serve"
      pattern = {
        source      = ["aws.ecr"]
        detail-type = ["ECR Image Scan"]
        detail = {
          repository-name         = [var.repository_name]
          finding-severity-counts = { CRITICAL = [{ numeric = [">", 0] }] }
        }
      }
      schedule  = null
      functions = ["respond-incident"]
      input     = null
    }
    vulnerability = {
      description = "Inspector found something critical in an image, which an endpoint may serve"
      pattern = {
        source      = ["aws.inspector2"]
        detail-type = ["Inspector2 Finding"]
        detail = {
          severity  = ["CRITICAL"]
          status    = ["ACTIVE"]
          resources = { type = ["AWS_ECR_CONTAINER_IMAGE"] }
        }
      }
      schedule  = null
      functions = ["respond-incident"]
      input     = null
    }
    threat = {
      # From medium on. Where GuardDuty is off, nothing comes.
      description = "GuardDuty found a threat: verify what serves, record, tell"
      pattern = {
        source      = ["aws.guardduty"]
        detail-type = ["GuardDuty Finding"]
        detail      = { severity = [{ numeric = [">=", 4] }] }
      }
      schedule  = null
      functions = ["respond-incident"]
      input     = null
    }
    settled = {
      description = "An endpoint has come to rest: close the incident that waits for it"
      pattern = {
        source      = ["aws.sagemaker"]
        detail-type = ["SageMaker Endpoint State Change"]
        detail = {
          EndpointName   = sort(tolist(var.endpoint_names))
          EndpointStatus = ["IN_SERVICE", "FAILED", "OUT_OF_SERVICE", "UPDATE_ROLLBACK_FAILED"]
        }
      }
      schedule  = null
      functions = ["respond-incident"]
      input     = null
    }
    rescan = {
      # ECR's basic scans look once and not again; a finding that is new comes as an event.
      description = "Scan what serves once more, where nothing does it continuously"
      pattern     = null
      schedule    = "rate(1 day)"
      functions   = ["respond-incident"]
      input       = jsonencode({ rescan = true })
    }
    sweep = {
      description = "Answer what an event was lost for, stop what nobody waits for, seal what was left unsealed"
      pattern     = null
      schedule    = local.sweep_minutes == 1 ? "rate(1 minute)" : "rate(${local.sweep_minutes} minutes)"
      functions   = ["resume-execution", "seal-run"]
      input       = jsonencode({ sweep = true })
    }
    monitor = {
      description = "Compare what endpoints were asked and answered with what their models were evaluated on"
      pattern     = null
      schedule    = var.drift.schedule
      functions   = ["monitor-drift"]
      input       = jsonencode({ step = "Monitor" })
    }
    drift = {
      description = "Traffic drifted, and the request of the run that serves asks for another: start it"
      pattern = {
        source      = ["lockstep"]
        detail-type = ["Model Drift Detected"]
        account     = [local.account_id]
        detail      = { retrain = [true] }
      }
      schedule  = null
      functions = [] # the pipeline itself
      input     = null
    }
    ended = {
      description = "A run ended without reaching its last state: seal its record"
      pattern = {
        source      = ["aws.states"]
        detail-type = ["Step Functions Execution Status Change"]
        detail = {
          status          = ["FAILED", "ABORTED", "TIMED_OUT"]
          stateMachineArn = [local.state_machine_arn]
        }
      }
      schedule  = null
      functions = ["seal-run"]
      input     = null
    }
  }

  # EventBridge fires once a minute at most.
  sweep_minutes = max(1, ceil(var.sweep_seconds / 60))
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name                = "${var.name}-${each.key}"
  description         = each.value.description
  event_pattern       = each.value.pattern == null ? null : jsonencode(each.value.pattern)
  schedule_expression = each.value.schedule
}

locals {
  function_targets = merge([
    for name, rule in local.rules : { for function in rule.functions : "${name}-${function}" => { rule = name, function = function } }
  ]...)
}

resource "aws_cloudwatch_event_target" "pipeline" {
  for_each = { for name, rule in local.rules : name => rule if length(rule.functions) == 0 }

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "pipeline"
  arn       = local.state_machine_arn
  role_arn  = aws_iam_role.service["events"].arn

  # Longer than any outage worth waiting for; a run that starts a day late surprises its submitter.
  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }

  dynamic "dead_letter_config" {
    for_each = local.dead_letter_arns

    content {
      arn = dead_letter_config.value
    }
  }
}

resource "aws_cloudwatch_event_target" "function" {
  for_each = local.function_targets

  rule      = aws_cloudwatch_event_rule.this[each.value.rule].name
  target_id = each.value.function
  arn       = local.function_arns[each.value.function]
  input     = local.rules[each.value.rule].input

  # The sweep finds what an event was lost for.
  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }

  dynamic "dead_letter_config" {
    for_each = local.dead_letter_arns

    content {
      arn = dead_letter_config.value
    }
  }

  # A function that runs before its log group exists would have to make one, without key or retention.
  depends_on = [aws_cloudwatch_log_group.function]
}

resource "aws_lambda_permission" "events" {
  for_each = local.function_targets

  statement_id  = "events-${each.value.rule}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.value.function].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this[each.value.rule].arn
}

# `access` has a rule for each change that only the pipeline may make. They are made after this function, and may not be made at all.
resource "aws_lambda_permission" "incidents" {
  statement_id  = "events-incidents"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["respond-incident"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${var.name}-incident-*"
}
