# Keeps it running: watches, stops, pauses. Makes no model and no endpoint, and approves nothing. The role takes a second
# factor, so rolling back and disabling a key do.
locals {
  operator_statements = concat(
    [
      local.follow_runs,
      {
        Sid      = "StopRuns"
        Effect   = "Allow"
        Action   = concat(["states:StopExecution"], var.operators_may_redrive ? ["states:RedriveExecution"] : [])
        Resource = local.execution_arns
      },
      {
        # Requests wait in the bucket meanwhile and start nothing; the other rules keep runs alive and stay on.
        Sid      = "PauseIntake"
        Effect   = "Allow"
        Action   = ["events:DescribeRule", "events:DisableRule", "events:EnableRule"]
        Resource = local.request_rule_arn
      },
      {
        Sid      = "ListRulesAndSchedules"
        Effect   = "Allow"
        Action   = local.unnamed.schedules
        Resource = "*"
      },
      {
        Sid      = "ReadLogs"
        Effect   = "Allow"
        Action   = ["logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:GetQueryResults", "logs:StartQuery"]
        Resource = [for place in ["/aws/lambda/${var.name}-*", "/aws/sagemaker/*", "/aws/vendedlogs/states/${var.name}-*"] : "${local.log_group_prefix}:${place}"]
      },
      {
        Sid      = "QueryLogs"
        Effect   = "Allow"
        Action   = local.unnamed.queries
        Resource = "*"
      },
      {
        Sid      = "SeeAlarms"
        Effect   = "Allow"
        Action   = ["cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms"]
        Resource = "arn:${local.partition}:cloudwatch:${local.here}:alarm:${var.name}-*"
      },
      local.read_metrics,
      {
        Sid      = "ReadTraces"
        Effect   = "Allow"
        Action   = local.unnamed.traces
        Resource = "*"
      },
      {
        Sid      = "SeeJobsAndServing"
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel", "sagemaker:DescribeProcessingJob", "sagemaker:DescribeTrainingJob"]
        Resource = concat(local.run_arns, local.serving_arns)
      },
      {
        Sid      = "ListJobsAndServing"
        Effect   = "Allow"
        Action   = local.unnamed.listing
        Resource = "*"
      },
      {
        Sid      = "SeeSubscriptions"
        Effect   = "Allow"
        Action   = ["sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"]
        Resource = var.topic_arn
      },
      {
        Sid      = "Unsubscribe"
        Effect   = "Allow"
        Action   = local.unnamed.unsubscribing
        Resource = "*"
      },
      {
        # What a stolen key signs stops counting at once: the gate that it belongs to can sign nothing either, and refuses.
        Sid      = "DisableAKeyInAnEmergency"
        Effect   = "Allow"
        Action   = ["kms:DescribeKey", "kms:DisableKey", "kms:EnableKey"]
        Resource = local.attesting_key_arns
      },
      local.read_verdicts,
      local.list_verdicts,
      local.read_through_s3,
    ],
    [for statement in [{
      # By mail alone, and to one's own: a subscription outlives its subscriber's access.
      Sid      = "Subscribe"
      Effect   = "Allow"
      Action   = "sns:Subscribe"
      Resource = var.topic_arn
      Condition = {
        StringEquals = { "sns:Protocol" = "email" }
        StringLike   = { "sns:Endpoint" = [for domain in sort(var.mail_domains) : "*@${domain}"] }
      }
    }] : statement if length(var.mail_domains) > 0],
    [for statement in [{
      # The function rolls back, under its own role and with its own record; nobody calls UpdateEndpoint by hand.
      Sid      = "RollBack"
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = var.rollback_function_arn
    }] : statement if var.rollback_function_arn != null],
    [for statement in [{
      Sid      = "SeeWhatWasNotDelivered"
      Effect   = "Allow"
      Action   = "sqs:GetQueueAttributes"
      Resource = var.dead_letter_queue_arn
    }] : statement if var.dead_letter_queue_arn != null],
    [for statement in [
      {
        # A schedule is paused by writing it anew, which passes its role again.
        Sid      = "PauseSchedules"
        Effect   = "Allow"
        Action   = ["scheduler:GetSchedule", "scheduler:UpdateSchedule"]
        Resource = local.schedule_arns
      },
      {
        Sid       = "PassTheSchedulesRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = var.scheduler_role_arn
        Condition = { StringEquals = { "iam:PassedToService" = "scheduler.${local.dns_suffix}" } }
      },
    ] : statement if var.scheduler_role_arn != null],
  )
}
