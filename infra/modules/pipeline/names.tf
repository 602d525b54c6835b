data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

# Whoever applies this, with the role behind an assumed role's session: policies name roles.
data "aws_iam_session_context" "deployer" {
  arn = data.aws_caller_identity.current.arn
}

# Names are written out here and not read from the resources that carry them. A policy can then name what it
# guards before that exists, so nothing waits for its turn: on a small machine this halves the time to apply.
locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name
  dns_suffix = data.aws_partition.current.dns_suffix

  bucket_names = { for purpose in ["intake", "work", "evidence"] : purpose => "${var.name}-${purpose}-${local.account_id}" }
  bucket_arns  = { for purpose, name in local.bucket_names : purpose => "arn:${local.partition}:s3:::${name}" }

  function_names = { for verb in keys(local.functions) : verb => "${var.name}-${verb}" }
  function_arns = {
    for verb, name in local.function_names :
    verb => "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${name}"
  }

  role_names = merge(
    local.function_names,
    { for purpose in ["job", "endpoint", "pipeline", "events", "scheduler"] : purpose => "${var.name}-${purpose}" },
  )
  role_arns = { for purpose, name in local.role_names : purpose => "arn:${local.partition}:iam::${local.account_id}:role/${name}" }

  # What `aws:PrincipalArn` may hold for each role. AWS says the role's ARN; some accounts that speak its
  # protocol say the session's, which AWS never does, so naming both gives nobody more.
  role_principals = {
    for purpose, name in local.role_names : purpose => [
      local.role_arns[purpose],
      "arn:${local.partition}:sts::${local.account_id}:assumed-role/${name}/*",
    ]
  }

  deployers = length(var.deployers) > 0 ? var.deployers : [data.aws_iam_session_context.deployer.issuer_arn]

  # The alarms that roll a deployment back, made by `serving`.
  alarm_names = { for name in var.endpoint_names : name => ["${var.name}-${name}-5xx", "${var.name}-${name}-latency"] }

  # What deploy-endpoint registers once an endpoint serves; nothing, where its size is fixed.
  autoscaling = { for name in var.endpoint_names : name => { for key, settings in { autoscaling = try(var.autoscaling[name], null) } : key => settings if settings != null } }

  # SageMaker's own names; `observability` makes the groups before SageMaker would, without key or end.
  sagemaker_log_groups = concat(
    ["/aws/sagemaker/TrainingJobs", "/aws/sagemaker/ProcessingJobs"],
    [for name in sort(var.endpoint_names) : "/aws/sagemaker/Endpoints/${name}"],
  )

  table_name         = "${var.name}-coordination"
  table_arn          = "arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/${local.table_name}"
  topic_name         = "${var.name}-notifications"
  alerts_arn         = "arn:${local.partition}:sns:${local.region}:${local.account_id}:${var.name}-alerts"
  topic_arn          = "arn:${local.partition}:sns:${local.region}:${local.account_id}:${local.topic_name}"
  state_machine_name = "${var.name}-pipeline"
  state_machine_arn  = "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${local.state_machine_name}"
  execution_arns     = "arn:${local.partition}:states:${local.region}:${local.account_id}:execution:${local.state_machine_name}:*"
  repository_arn     = "arn:${local.partition}:ecr:${local.region}:${local.account_id}:repository/${var.repository_name}"
  log_group_prefix   = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group"
  sagemaker_prefix   = "arn:${local.partition}:sagemaker:${local.region}:${local.account_id}"
}
