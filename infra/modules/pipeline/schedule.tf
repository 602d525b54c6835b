resource "aws_scheduler_schedule" "run" {
  for_each = var.schedules

  name                         = "${var.name}-${each.key}"
  description                  = "Starts a run of ${each.value.request_uri}"
  schedule_expression          = each.value.expression
  schedule_expression_timezone = each.value.timezone
  state                        = each.value.enabled ? "ENABLED" : "DISABLED"
  kms_key_arn                  = aws_kms_key.data.arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.pipeline.arn
    role_arn = aws_iam_role.service["scheduler"].arn

    dynamic "dead_letter_config" {
      for_each = local.dead_letter_arns

      content {
        arn = dead_letter_config.value
      }
    }

    # Scheduler looks for the placeholder in the text as it is, and jsonencode writes its brackets as escapes.
    input = replace(replace(jsonencode({
      schedule    = { name = each.key, time = "<aws.scheduler.scheduled-time>" }
      request_uri = each.value.request_uri
    }), "\\u003c", "<"), "\\u003e", ">")
  }
}
