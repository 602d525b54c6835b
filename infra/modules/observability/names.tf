data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id       = data.aws_caller_identity.current.account_id
  partition        = data.aws_partition.current.partition
  region           = data.aws_region.current.name
  log_group_prefix = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group"

  # What the functions measure themselves; monitor-drift shares it.
  own_namespace = "Lockstep"

  # What is counted out of logs has this deployment's name in its namespace: two deployments of one account must
  # not set off each other's alarms.
  log_namespace = "Lockstep/${var.name}"

  function_log_groups = merge({ for verb, name in var.function_names : verb => "/aws/lambda/${name}" }, var.function_log_groups)
}
