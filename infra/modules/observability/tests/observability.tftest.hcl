# What must hold of the plan whatever the account: run with `terraform test`, no account needed.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }
  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:mocked" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mocked" }
  }
}

variables {
  topic_arn               = "arn:aws:sns:us-east-1:123456789012:lockstep-alarms"
  data_key_arn            = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111"
  state_machine_arn       = "arn:aws:states:us-east-1:123456789012:stateMachine:lockstep-pipeline"
  state_machine_log_group = "/aws/vendedlogs/states/lockstep-pipeline"
  function_names = {
    for verb in [
      "admit-run", "approve-package", "deploy-endpoint", "download-model", "evaluate-model", "launch-training",
      "resume-execution", "scan-gate", "seal-artifact", "seal-run",
    ] : verb => "lockstep-${verb}"
  }
  endpoints              = { tiny-lm = {}, other = { variant = "blue", max_p99_milliseconds = 250 } }
  dead_letter_queue_name = "lockstep-dead-letters"
  rule_names             = ["lockstep-request"]
  bucket_names           = ["lockstep-work-123456789012"]
  trail_log_group        = "/aws/cloudtrail/lockstep-trail"
  known_principals = {
    signers = [
      "lockstep-admit-run", "lockstep-approve-package", "lockstep-deploy-endpoint", "lockstep-download-model",
      "lockstep-evaluate-model", "lockstep-launch-training", "lockstep-scan-gate", "lockstep-seal-artifact", "lockstep-seal-run",
    ]
    serving   = ["lockstep-deploy-endpoint", "lockstep-approve-package", "lockstep-seal-run"]
    deployers = ["deployer"]
  }
}

run "fires_when_an_endpoint_fails_or_is_slow" {
  assert {
    condition = alltrue([
      for alarm in [output.alarms["endpoint-tiny-lm-server-errors"], output.alarms["endpoint-tiny-lm-model-errors"]] :
      alarm.statistic == "Sum" && alarm.period == 60 && alarm.threshold == 10 && alarm.dimensions == { EndpointName = "tiny-lm", VariantName = "primary" }
    ]) && output.alarms["endpoint-tiny-lm-server-errors"].metric == "Invocation5XXErrors"
    error_message = "More than ten failed invocations in a minute must be an alarm."
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["endpoint-tiny-lm-slow"].extended_statistic == "p99" &&
      aws_cloudwatch_metric_alarm.this["endpoint-tiny-lm-slow"].threshold == 1000000 &&
      aws_cloudwatch_metric_alarm.this["endpoint-other-slow"].threshold == 250000
    )
    error_message = "ModelLatency counts microseconds: a limit of 1,000 ms is 1,000,000."
  }
  assert {
    condition     = output.alarms["endpoint-other-drift"].dimensions == { Endpoint = "other" } && output.alarms["endpoint-other-drift"].namespace == "Lockstep" && output.alarms["endpoint-other-drift"].missing == "ignore"
    error_message = "Drift must be watched for each endpoint where monitor-drift puts it, and a judgement must stand until the next."
  }
}

run "tells_somebody_of_every_alarm_and_of_each_once" {
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) > 20 && alltrue([for alarm in aws_cloudwatch_metric_alarm.this : contains(alarm.alarm_actions, "arn:aws:sns:us-east-1:123456789012:lockstep-alarms") && length(alarm.alarm_description) > 20])
    error_message = "Every alarm must notify the topic and say what it means."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.ok_actions == null || length(coalesce(alarm.ok_actions, [])) == 0])
    error_message = "Recoveries must be silent unless they are asked for."
  }
  assert {
    condition     = length(toset([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name])) == length(aws_cloudwatch_metric_alarm.this)
    error_message = "No two alarms may have one name: the later would replace the other."
  }
  assert {
    condition = length(setintersection(
      toset([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name]),
      toset(flatten([for endpoint in ["tiny-lm", "other"] : ["lockstep-${endpoint}-5xx", "lockstep-${endpoint}-latency"]])),
    )) == 0
    error_message = "The pipeline's own alarms roll deployments back: none here may take a name of theirs."
  }
}

run "watches_metrics_that_exist" {
  assert {
    condition = alltrue([
      for alarm in concat(
        values(output.alarms),
        [
          for metric in flatten([
            for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
              for metric in try(widget.properties.metrics, []) : { namespace = metric[0], metric = metric[1] } if can(tostring(metric[0]))
            ] if widget.type == "metric"
          ]) : metric
        ],
        ) : contains(lookup({
          "AWS/SageMaker"            = ["Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors", "ModelLatency", "OverheadLatency"]
          "/aws/sagemaker/Endpoints" = ["CPUUtilization", "MemoryUtilization"]
          "AWS/States"               = ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsAborted", "ExecutionsTimedOut", "ExecutionTime"]
          "AWS/Lambda"               = ["Errors", "Throttles", "Duration"]
          "AWS/SQS"                  = ["ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"]
          "AWS/Events"               = ["FailedInvocations"]
          "AWS/Billing"              = ["EstimatedCharges"]
          "AWS/S3"                   = ["BucketSizeBytes"]
          "Lockstep"                 = ["BytesFetched", "FetchRate", "FilesStored", "DriftDetected"]
          "Lockstep/lockstep"        = [for filter in aws_cloudwatch_log_metric_filter.this : one(filter.metric_transformation).name]
      }, alarm.namespace, []), alarm.metric)
    ])
    error_message = "Every alarm and every widget must show a metric that AWS, a function or a filter puts."
  }
  assert {
    condition = alltrue([
      for alarm in values(output.alarms) : alarm.namespace != "Lockstep/lockstep" || anytrue([
        for filter in aws_cloudwatch_log_metric_filter.this : one(filter.metric_transformation).name == alarm.metric && length(coalesce(one(filter.metric_transformation).dimensions, {})) == 0
      ])
    ])
    error_message = "An alarm on what logs say must watch a metric that a filter puts without dimensions."
  }
  assert {
    condition = alltrue([
      for filter in aws_cloudwatch_log_metric_filter.this :
      anytrue([for alarm in values(output.alarms) : alarm.metric == one(filter.metric_transformation).name]) || one(filter.metric_transformation).name == "StepsFailed"
    ])
    error_message = "What is counted must be watched; steps that failed are on the dashboard."
  }
  assert {
    condition = alltrue([
      for word in ["Pipeline", "Gates", "Endpoint tiny-lm", "Endpoint other", "Access", "Cost"] : anytrue([
        for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : try(widget.properties.markdown, "") == "## ${word}"
      ])
    ])
    error_message = "The dashboard must show pipeline, gates, each endpoint, access and cost."
  }
  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.x + widget.width <= 24
      ]) && length(distinct([
        for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : "${widget.x} ${widget.y}"
    ])) == length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets)
    error_message = "Widgets must lie beside each other, within the dashboard's 24 columns."
  }
}

run "fires_on_the_datapoint_that_it_says" {
  assert {
    condition     = toset(keys(output.alarms)) == toset(keys(aws_cloudwatch_metric_alarm.this)) && alltrue([for alarm in values(output.alarms) : alarm.sample.value > alarm.threshold && alarm.comparison == "GreaterThanThreshold"])
    error_message = "Every alarm must come with a datapoint that fires it."
  }
  assert {
    condition = alltrue([
      for key, alarm in aws_cloudwatch_metric_alarm.this :
      alarm.alarm_name == output.alarms[key].name && alarm.metric_name == output.alarms[key].metric && alarm.namespace == output.alarms[key].namespace &&
      alarm.comparison_operator == output.alarms[key].comparison && alarm.treat_missing_data == output.alarms[key].missing &&
      try(coalesce(alarm.extended_statistic), alarm.statistic) == output.alarms[key].statistic && alarm.evaluation_periods == output.alarms[key].periods
    ])
    error_message = "The output must say of each alarm what it is."
  }
  assert {
    condition     = alltrue([for alarm in values(output.alarms) : contains(["notBreaching", "ignore"], alarm.missing)])
    error_message = "Silence of a quiet deployment must not be an alarm."
  }
}

run "describes_its_filters" {}

run "counts_the_lines_that_it_says_and_no_others" {
  module {
    source = "./tests/matcher"
  }

  variables {
    filters = run.describes_its_filters.metric_filters
  }

  assert {
    condition     = length(output.wrong) == 0 && output.lines > 60
    error_message = "Filters take these lines for what they are not: ${join(", ", output.wrong)}."
  }
}

run "knows_nobody_by_a_name_alone" {
  assert {
    condition = alltrue([
      for key in ["strangers-using-keys", "strangers-changing-keys", "strangers-on-models"] :
      strcontains(aws_cloudwatch_log_metric_filter.this[key].pattern, "($.userIdentity.accountId != \"123456789012\")") &&
      strcontains(aws_cloudwatch_log_metric_filter.this[key].pattern, "($.userIdentity.sessionContext.sessionIssuer.userName NOT EXISTS)")
    ])
    error_message = "A user, root, and a role of another account with a known name must count as unknown."
  }
  assert {
    condition     = strcontains(aws_cloudwatch_log_metric_filter.this["strangers-using-keys"].pattern, "^lockstep-scan-gate$") && !strcontains(aws_cloudwatch_log_metric_filter.this["strangers-using-keys"].pattern, "deployer")
    error_message = "Names must match from end to end, and a deployer must not sign unnoticed."
  }
  assert {
    condition     = alltrue([for filter in aws_cloudwatch_log_metric_filter.this : length(filter.pattern) <= 1024 && length(regexall("%", filter.pattern)) <= 4])
    error_message = "CloudWatch Logs takes 1,024 characters and two regular expressions in a filter."
  }
  assert {
    condition = alltrue([
      for group in distinct([for filter in aws_cloudwatch_log_metric_filter.this : filter.log_group_name]) :
      length([for filter in aws_cloudwatch_log_metric_filter.this : filter if filter.log_group_name == group && strcontains(filter.pattern, "%")]) <= 5
    ])
    error_message = "CloudWatch Logs takes five filters with regular expressions in a log group."
  }
}

run "encrypts_and_forgets_what_sagemaker_logs" {
  assert {
    condition = toset(keys(aws_cloudwatch_log_group.this)) == toset([
      "/aws/sagemaker/TrainingJobs", "/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/Endpoints/tiny-lm", "/aws/sagemaker/Endpoints/other",
      "/aws/events/lockstep-findings",
    ])
    error_message = "SageMaker's log groups must be there before SageMaker makes them."
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.retention_in_days == 90 && group.kms_key_id == "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111"])
    error_message = "Every log group must be encrypted and kept for 90 days."
  }
  assert {
    condition     = contains(output.log_group_arns, "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/TrainingJobs")
    error_message = "The key's policy must be told of every log group."
  }
}

run "records_findings_between_runs" {
  assert {
    condition     = toset([for part in jsondecode(aws_cloudwatch_event_rule.findings.event_pattern)["$or"] : part.detail-type[0]]) == toset(["ECR Image Scan", "Inspector2 Finding"])
    error_message = "Both ways of scanning must be recorded."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_cloudwatch_log_resource_policy.findings.policy_document).Statement :
      statement.Resource == "arn:aws:logs:us-east-1:123456789012:log-group:/aws/events/lockstep-findings:*" &&
      (statement.Action == "logs:CreateLogStream" || try(statement.Condition.ArnEquals["aws:SourceArn"], "") == "arn:aws:events:us-east-1:123456789012:rule/lockstep-findings")
    ])
    error_message = "EventBridge must write to this one group only, and for this one rule."
  }
}

run "answers_the_usual_questions" {
  assert {
    condition = toset([for query in aws_cloudwatch_query_definition.this : query.name]) == toset([for question in [
      "cost of functions", "critical findings", "denied calls", "refusals and faults by gate", "run by id", "slow states", "transfer rates",
      "what a refusal said", "what the sweep met", "who approved what", "who changed models and endpoints", "who used which key",
    ] : "lockstep/${question}"])
    error_message = "The usual questions must be saved."
  }
  assert {
    condition     = alltrue([for query in aws_cloudwatch_query_definition.this : length(query.log_group_names) > 0 && length(query.log_group_names) <= 50])
    error_message = "Every question must be put to logs: one group at least, and 50 at most."
  }
}

run "does_without_saved_queries_where_an_account_cannot_hold_them" {
  variables {
    save_queries = false
  }

  assert {
    condition     = length(aws_cloudwatch_query_definition.this) == 0 && length(output.queries) > 10
    error_message = "The queries must be known even where they are not saved."
  }
}

run "shares_an_account_with_another_deployment" {
  variables {
    name               = "second"
    own_job_log_groups = false
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_log_group.this), "/aws/sagemaker/TrainingJobs")
    error_message = "SageMaker's groups for jobs are the account's: a second deployment must leave them alone."
  }
  assert {
    condition     = alltrue([for filter in aws_cloudwatch_log_metric_filter.this : one(filter.metric_transformation).namespace == "Lockstep/second"])
    error_message = "What one deployment counts must not fire another's alarms."
  }
}

run "does_without_a_trail" {
  variables {
    trail_log_group         = null
    known_principals        = null
    dead_letter_queue_name  = null
    state_machine_log_group = null
    rule_names              = []
  }

  assert {
    condition     = length([for key in keys(aws_cloudwatch_metric_alarm.this) : key if startswith(key, "strangers") || startswith(key, "dead") || startswith(key, "unauth")]) == 0
    error_message = "Nothing may be watched that is not there."
  }
  assert {
    condition     = !contains(keys(output.queries), "lockstep/who approved what") && !contains(keys(output.queries), "lockstep/slow states")
    error_message = "Nothing may be asked of a log that is not there."
  }
}

run "says_when_all_is_well_again_if_asked" {
  variables {
    notify_recovery = true
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : contains(alarm.ok_actions, "arn:aws:sns:us-east-1:123456789012:lockstep-alarms")])
    error_message = "Recoveries must be notified when they are asked for."
  }
}

run "refuses_a_filter_that_cloudwatch_would_not_take" {
  command = plan

  variables {
    known_principals = {
      signers   = [for number in range(40) : "a-role-with-a-rather-long-name-${number}"]
      serving   = ["lockstep-deploy-endpoint"]
      deployers = []
    }
  }

  expect_failures = [aws_cloudwatch_log_metric_filter.this]
}

run "refuses_a_trail_on_which_nobody_is_known" {
  command = plan

  variables {
    known_principals = null
  }

  expect_failures = [var.known_principals]
}

run "refuses_known_principals_that_are_anybody" {
  command = plan

  variables {
    known_principals = { signers = ["*-admin"], serving = ["lockstep-deploy-endpoint"], deployers = [] }
  }

  expect_failures = [var.known_principals]
}

run "refuses_that_nobody_signs" {
  command = plan

  variables {
    known_principals = { signers = [], serving = ["lockstep-deploy-endpoint"], deployers = [] }
  }

  expect_failures = [var.known_principals]
}

run "refuses_an_alarm_that_tells_nobody" {
  command = plan

  variables {
    topic_arn = ""
  }

  expect_failures = [var.topic_arn]
}

run "refuses_a_key_by_its_alias" {
  command = plan

  variables {
    data_key_arn = "arn:aws:kms:us-east-1:123456789012:alias/lockstep-data"
  }

  expect_failures = [var.data_key_arn]
}

run "refuses_logs_for_ever" {
  command = plan

  variables {
    log_retention_days = 0
  }

  expect_failures = [var.log_retention_days]
}

run "refuses_a_state_machine_that_is_none" {
  command = plan

  variables {
    state_machine_arn = "lockstep-pipeline"
  }

  expect_failures = [var.state_machine_arn]
}

run "refuses_functions_without_the_gate" {
  command = plan

  variables {
    function_names              = { download-model = "lockstep-download-model" }
    functions_that_never_refuse = []
  }

  expect_failures = [var.function_names]
}

run "refuses_to_watch_a_function_that_is_not_there" {
  command = plan

  variables {
    functions_that_never_refuse = ["respond-incident"]
  }

  expect_failures = [var.functions_that_never_refuse]
}

run "refuses_an_endpoint_without_a_name" {
  command = plan

  variables {
    endpoints = { "-tiny" = {} }
  }

  expect_failures = [var.endpoints]
}

run "refuses_a_limit_that_is_always_passed" {
  command = plan

  variables {
    endpoints = { tiny-lm = { max_errors_per_minute = -1 } }
    limits    = { throttles = -1 }
  }

  expect_failures = [var.endpoints, var.limits]
}

run "refuses_half_a_period" {
  command = plan

  variables {
    endpoints = { tiny-lm = { evaluation_periods = 1.5 } }
  }

  expect_failures = [var.endpoints]
}

run "refuses_a_name_that_resources_cannot_have" {
  command = plan

  variables {
    name = "Lockstep!"
  }

  expect_failures = [var.name]
}
