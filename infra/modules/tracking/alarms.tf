locals {
  service_dimensions  = { ClusterName = local.id, ServiceName = local.id }
  database_dimensions = { DBInstanceIdentifier = local.id }
  balancer_dimensions = { LoadBalancer = aws_lb.this.arn_suffix }
  target_dimensions   = merge(local.balancer_dimensions, { TargetGroup = aws_lb_target_group.server.arn_suffix })

  # What is counted is not sent while there is nothing to count, and nothing is no breach. What is measured of something
  # that runs is always sent: silence there means that it does not run, and `no-server` and `database-storage` say so.
  # The other measurements leave that to them, so that one outage is two messages and not ten.
  alarms = merge(
    {
      service-cpu = {
        description = "The tracking server's tasks are short of processor: autoscaling has not kept up, or may start no more of them"
        namespace   = "AWS/ECS"
        metric      = "CPUUtilization"
        dimensions  = local.service_dimensions
        statistic   = "Average"
        operator    = "GreaterThanThreshold"
        threshold   = var.thresholds.service_cpu_percent
        period      = 300
        periods     = 3
        missing     = "notBreaching"
      }
      service-memory = {
        description = "The tracking server's tasks are short of memory: ECS ends a task that takes more than it has"
        namespace   = "AWS/ECS"
        metric      = "MemoryUtilization"
        dimensions  = local.service_dimensions
        statistic   = "Average"
        operator    = "GreaterThanThreshold"
        threshold   = var.thresholds.service_memory_percent
        period      = 300
        periods     = 3
        missing     = "notBreaching"
      }
      no-server = {
        description = "No task of the tracking server answers: nobody can read or write runs"
        namespace   = "AWS/ApplicationELB"
        metric      = "HealthyHostCount"
        dimensions  = local.target_dimensions
        statistic   = "Minimum"
        operator    = "LessThanThreshold"
        threshold   = 1
        period      = 60
        periods     = 3
        missing     = "breaching"
      }
      unhealthy-server = {
        description = "A task of the tracking server does not answer, and was not replaced within ten minutes"
        namespace   = "AWS/ApplicationELB"
        metric      = "UnHealthyHostCount"
        dimensions  = local.target_dimensions
        statistic   = "Maximum"
        operator    = "GreaterThanThreshold"
        threshold   = 0
        period      = 60
        periods     = 10
        missing     = "notBreaching"
      }
      load-balancer-5xx = {
        description = "The tracking load balancer itself answers with server errors: no target, or no sign-in"
        namespace   = "AWS/ApplicationELB"
        metric      = "HTTPCode_ELB_5XX_Count"
        dimensions  = local.balancer_dimensions
        statistic   = "Sum"
        operator    = "GreaterThanThreshold"
        threshold   = var.thresholds.load_balancer_5xx
        period      = 300
        periods     = 1
        missing     = "notBreaching"
      }
      server-5xx = {
        description = "The tracking server answers with server errors: most often its database, or a password that was rotated and not yet taken up"
        namespace   = "AWS/ApplicationELB"
        metric      = "HTTPCode_Target_5XX_Count"
        dimensions  = local.target_dimensions
        statistic   = "Sum"
        operator    = "GreaterThanThreshold"
        threshold   = var.thresholds.server_5xx
        period      = 300
        periods     = 1
        missing     = "notBreaching"
      }
      sign-in = {
        description = "People cannot sign in to tracking: the load balancer does not reach Cognito, or its app client is not as it expects"
        namespace   = "AWS/ApplicationELB"
        metric      = "ELBAuthError"
        dimensions  = local.balancer_dimensions
        statistic   = "Sum"
        operator    = "GreaterThanThreshold"
        threshold   = var.thresholds.sign_in_errors
        period      = 300
        periods     = 1
        missing     = "notBreaching"
      }
      database-cpu = {
        description = "The tracking database is short of processor"
        namespace   = "AWS/RDS"
        metric      = "CPUUtilization"
        dimensions  = local.database_dimensions
        statistic   = "Average"
        operator    = "GreaterThanThreshold"
        threshold   = var.thresholds.database_cpu_percent
        period      = 300
        periods     = 3
        missing     = "notBreaching"
      }
      database-storage = {
        description = "The tracking database runs out of storage and does not grow, or says nothing at all"
        namespace   = "AWS/RDS"
        metric      = "FreeStorageSpace"
        dimensions  = local.database_dimensions
        statistic   = "Minimum"
        operator    = "LessThanThreshold"
        threshold   = var.thresholds.database_free_gib * pow(1024, 3) # RDS counts bytes
        period      = 300
        periods     = 2
        missing     = "breaching"
      }
      database-connections = {
        description = "The tracking database has more connections than its server should need: it leaks them, or somebody else has the password"
        namespace   = "AWS/RDS"
        metric      = "DatabaseConnections"
        dimensions  = local.database_dimensions
        statistic   = "Maximum"
        operator    = "GreaterThanThreshold"
        threshold   = var.thresholds.database_connections
        period      = 300
        periods     = 1
        missing     = "notBreaching"
      }
      redeploy = {
        description = "The tracking database's password was rotated and the server was not deployed again: its next connection will be refused"
        namespace   = "AWS/States"
        metric      = "ExecutionsFailed"
        dimensions  = { StateMachineArn = local.state_machine_arn }
        statistic   = "Sum"
        operator    = "GreaterThanThreshold"
        threshold   = 0
        period      = 300
        periods     = 1
        missing     = "notBreaching"
      }
      redeploy-not-started = {
        description = "The tracking database's password was rotated, and EventBridge could not start what deploys the server again"
        namespace   = "AWS/Events"
        metric      = "FailedInvocations"
        dimensions  = { RuleName = aws_cloudwatch_event_rule.rotated.name }
        statistic   = "Sum"
        operator    = "GreaterThanThreshold"
        threshold   = 0
        period      = 300
        periods     = 1
        missing     = "notBreaching"
      }
    },
    {
      for key, alarm in {
        certificates = {
          description = "TLS handshakes with tracking fail: a program's certificate has expired or was revoked, or somebody tries others"
          namespace   = "AWS/ApplicationELB"
          metric      = "ClientTLSNegotiationErrorCount"
          dimensions  = local.balancer_dimensions
          statistic   = "Sum"
          operator    = "GreaterThanThreshold"
          threshold   = var.thresholds.refused_certificates
          period      = 300
          periods     = 1
          missing     = "notBreaching"
        }
      } : key => alarm if var.machines != null
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.id}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.operator
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}
