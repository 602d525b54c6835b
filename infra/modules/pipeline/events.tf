locals {
  rules = {
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
      schedule = null
      function = null
      input    = null
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
      schedule = null
      function = "resume-execution"
      input    = null
    }
    sweep = {
      description = "Answer what an event was lost for, and stop what nobody waits for"
      pattern     = null
      schedule    = local.sweep_minutes == 1 ? "rate(1 minute)" : "rate(${local.sweep_minutes} minutes)"
      function    = "resume-execution"
      input       = jsonencode({ sweep = true })
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
      schedule = null
      function = "seal-run"
      input    = null
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

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.rules

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = coalesce(each.value.function, "pipeline")
  arn       = each.value.function == null ? local.state_machine_arn : local.function_arns[each.value.function]
  role_arn  = each.value.function == null ? aws_iam_role.service["events"].arn : null
  input     = each.value.input

  # Longer than any outage worth waiting for; a run that starts a day late surprises its submitter.
  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 185
  }

  # A function that runs before its log group exists would have to make one, without key or retention.
  depends_on = [aws_cloudwatch_log_group.function]
}

resource "aws_lambda_permission" "events" {
  for_each = { for name, rule in local.rules : name => rule.function if rule.function != null }

  statement_id  = "events-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.value].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this[each.key].arn
}
