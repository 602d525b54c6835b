# A task reads the password when it starts. When RDS rotates it, connections that are open stay, new ones are refused:
# the service is deployed again, task by task.
resource "aws_cloudwatch_event_rule" "rotated" {
  name        = "${local.id}-rotated"
  description = "The database's password was rotated: deploy the server again"

  event_pattern = jsonencode({
    source      = ["aws.secretsmanager"]
    detail-type = ["Secret Label Updated"]
    resources   = [local.secret_arn]
    detail      = { labelUpdated = ["AWSCURRENT"] }
  })
}

resource "aws_cloudwatch_event_target" "rotated" {
  rule      = aws_cloudwatch_event_rule.rotated.name
  target_id = "redeploy"
  arn       = aws_sfn_state_machine.redeploy.arn
  role_arn  = aws_iam_role.this["events"].arn
  input     = "{}"

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }
}

resource "aws_sfn_state_machine" "redeploy" {
  #checkov:skip=CKV_AWS_285:Every event is logged; its data is not, as in the pipeline's state machine.
  name     = local.state_machine
  role_arn = aws_iam_role.this["redeploy"].arn
  type     = "STANDARD"

  definition = jsonencode({
    Comment        = "Deploy ${local.id} again, with the password that is current"
    StartAt        = "Redeploy"
    TimeoutSeconds = 7200
    States = {
      Redeploy = {
        Type       = "Task"
        Resource   = "arn:${local.partition}:states:::aws-sdk:ecs:updateService"
        Parameters = { Cluster = local.id, Service = local.id, ForceNewDeployment = true }
        ResultPath = null
        Retry      = [{ ErrorEquals = ["States.ALL"], IntervalSeconds = 30, BackoffRate = 2, MaxAttempts = 6 }]
        End        = true
      }
    }
  })

  logging_configuration {
    level                  = "ALL"
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.this["redeploy"].arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  # The role is tried when the state machine is made.
  depends_on = [aws_iam_role_policy.this]
}
