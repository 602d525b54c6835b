locals {
  # CloudWatch takes a metric's dimensions as names and values in turn.
  widget_alarms = {
    for key, alarm in local.alarms : key => concat(
      [alarm.namespace, alarm.metric],
      flatten([for name in sort(keys(alarm.dimensions)) : [name, alarm.dimensions[name]]]),
      [{ stat = alarm.statistic, label = key }],
    )
  }

  widgets = concat(
    [{
      type   = "text"
      width  = 24
      height = 1
      properties = {
        markdown = "## Tracking: https://${var.host_name}"
      }
    }],
    [
      for chart in [
        { title = "Tracking: server, %", alarms = ["service-cpu", "service-memory"], least = 0, most = 100, period = 300 },
        { title = "Tracking: tasks that answer, and that do not", alarms = ["no-server", "unhealthy-server"], least = 0, most = null, period = 60 },
        { title = "Tracking: errors", alarms = ["load-balancer-5xx", "server-5xx", "sign-in"], least = 0, most = null, period = 300 },
        { title = "Tracking: database processor, %", alarms = ["database-cpu"], least = 0, most = 100, period = 300 },
        { title = "Tracking: database free storage, bytes", alarms = ["database-storage"], least = 0, most = null, period = 300 },
        { title = "Tracking: database connections", alarms = ["database-connections"], least = 0, most = null, period = 300 },
        ] : {
        type   = "metric"
        width  = 8
        height = 6
        properties = {
          title   = chart.title
          view    = "timeSeries"
          region  = local.region
          period  = chart.period
          metrics = [for key in chart.alarms : local.widget_alarms[key]]
          yAxis   = { left = { for bound, value in { min = chart.least, max = chart.most } : bound => value if value != null } }
          annotations = {
            horizontal = [for key in chart.alarms : { label = "alarm: ${key}", value = local.alarms[key].threshold }]
          }
        }
      }
    ],
  )
}
