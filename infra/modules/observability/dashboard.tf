locals {
  # A widget's properties and, where it is not a graph of metrics, its type. Sections lie one below the other, the
  # widgets of one side by side.
  sections = concat(
    [
      {
        title = "Pipeline"
        widgets = [
          { title = "Runs", metrics = [
            for metric in ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsAborted", "ExecutionsTimedOut"] :
            ["AWS/States", metric, "StateMachineArn", var.state_machine_arn]
          ], stat = "Sum", period = 3600 },
          { title = "How long runs take (ms)", metrics = [
            for stat in ["p50", "p99"] : ["AWS/States", "ExecutionTime", "StateMachineArn", var.state_machine_arn, { stat = stat, label = stat }]
          ], stat = "p50", period = 3600 },
          { title = "Throttles", metrics = [
            for verb in sort(keys(var.function_names)) : ["AWS/Lambda", "Throttles", "FunctionName", var.function_names[verb], { label = verb }]
          ], stat = "Sum", period = 300 },
          { title = "Bytes fetched from the Hub, and the rate of a batch", metrics = [
            ["Lockstep", "BytesFetched", "Function", "download-model", { stat = "Sum" }],
            ["Lockstep", "FetchRate", "Function", "download-model", { stat = "Average", yAxis = "right" }],
          ], stat = "Sum", period = 60 },
        ]
      },
      {
        title = "Gates"
        widgets = [
          { title = "Steps that ended in a refusal or a fault", metrics = [
            [{ expression = "SEARCH('{${local.log_namespace},Step} MetricName=\"StepsFailed\"', 'Sum', 3600)", id = "steps", label = "" }],
          ], stat = "Sum", period = 3600 },
          { title = "Errors: refusals and faults", metrics = [
            for verb in sort(keys(var.function_names)) : ["AWS/Lambda", "Errors", "FunctionName", var.function_names[verb], { label = verb }]
          ], stat = "Sum", period = 300 },
          { title = "Faults and critical findings", metrics = [
            [local.log_namespace, "Faults"],
            [local.log_namespace, "CriticalFindings"],
          ], stat = "Sum", period = 300 },
        ]
      },
    ],
    [
      for name in sort(keys(var.endpoints)) : {
        title = "Endpoint ${name}"
        widgets = [
          { title = "Invocations and errors", metrics = [
            for metric in ["Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors"] :
            ["AWS/SageMaker", metric, "EndpointName", name, "VariantName", var.endpoints[name].variant]
          ], stat = "Sum", period = 60 },
          { title = "Latency (microseconds)", metrics = concat(
            [for stat in ["p50", "p99"] : ["AWS/SageMaker", "ModelLatency", "EndpointName", name, "VariantName", var.endpoints[name].variant, { stat = stat, label = "model ${stat}" }]],
            [["AWS/SageMaker", "OverheadLatency", "EndpointName", name, "VariantName", var.endpoints[name].variant, { stat = "p99", label = "overhead p99" }]],
            ), stat = "p99", period = 60, annotations = { horizontal = [
              { label = "alarm", value = var.endpoints[name].max_p99_milliseconds * 1000 },
          ] } },
          { title = "Processor and memory (%)", metrics = [
            for metric in ["CPUUtilization", "MemoryUtilization"] :
            ["/aws/sagemaker/Endpoints", metric, "EndpointName", name, "VariantName", var.endpoints[name].variant]
          ], stat = "Average", period = 60 },
          { title = "Drift", metrics = [
            [local.own_namespace, "DriftDetected", "Endpoint", name],
          ], stat = "Maximum", period = 3600 },
        ]
      }
    ],
    var.trail_log_group == null ? [] : [{
      title = "Access"
      widgets = [
        { title = "Refused calls and failed sign-ins", metrics = [
          for metric in ["UnauthorisedCalls", "FailedSignIns", "RootUse"] : [local.log_namespace, metric]
        ], stat = "Sum", period = 300 },
        { title = "Strangers, keys and the trail", metrics = [
          for metric in ["StrangersOnKeys", "StrangersOnModels", "KeysDisabled", "TrailChanged"] : [local.log_namespace, metric]
        ], stat = "Sum", period = 300 },
      ]
    }],
    [{
      title = "Cost"
      widgets = concat(
        [
          # Billing's metrics are in us-east-1 alone, and only where the account has asked for them.
          { title = "Estimated charges of the month (USD)", metrics = [
            for service in ["AmazonSageMaker", "AWSLambda", "AmazonS3", "AmazonCloudWatch", "awskms"] :
            ["AWS/Billing", "EstimatedCharges", "ServiceName", service, "Currency", "USD", { label = service }]
          ], stat = "Maximum", period = 21600, region = "us-east-1" },
          { title = "What functions ran (ms)", metrics = [
            for verb in sort(keys(var.function_names)) : ["AWS/Lambda", "Duration", "FunctionName", var.function_names[verb], { label = verb }]
          ], stat = "Sum", period = 3600 },
        ],
        length(var.bucket_names) == 0 ? [] : [
          { title = "What buckets hold (bytes)", metrics = [
            for bucket in var.bucket_names : ["AWS/S3", "BucketSizeBytes", "BucketName", bucket, "StorageType", "StandardStorage", { label = bucket }]
          ], stat = "Average", period = 86400 },
        ],
      )
    }],
  )

  widget_rows = concat(
    [[{
      type = "alarm", x = 0, y = 0, width = 24, height = 4
      properties = {
        title  = "Alarms"
        alarms = [for key in sort(keys(local.alarms)) : aws_cloudwatch_metric_alarm.this[key].arn]
      }
    }]],
    [
      for row, section in local.sections : concat(
        [{ type = "text", x = 0, y = 4 + row * 7, width = 24, height = 1, properties = { markdown = "## ${section.title}" } }],
        [
          for column, widget in section.widgets : {
            type       = "metric"
            x          = column * floor(24 / length(section.widgets))
            y          = 5 + row * 7
            width      = floor(24 / length(section.widgets))
            height     = 6
            properties = merge({ view = "timeSeries", stacked = false, region = local.region }, widget)
          }
        ],
      )
    ],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({ widgets = concat(local.widget_rows...) })
}
