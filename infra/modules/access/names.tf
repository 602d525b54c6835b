data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

# Whoever applies this, with the role behind an assumed role's session: policies name roles.
data "aws_iam_session_context" "deployer" {
  arn = data.aws_caller_identity.current.arn
}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name
  dns_suffix = data.aws_partition.current.dns_suffix

  iam_prefix = "arn:${local.partition}:iam::${local.account_id}"
  here       = "${local.region}:${local.account_id}"

  deployers = sort(length(var.deployers) > 0 ? var.deployers : [data.aws_iam_session_context.deployer.issuer_arn])

  # The pipeline's names, which are a contract: see its names.tf.
  table_arn          = "arn:${local.partition}:dynamodb:${local.here}:table/${var.name}-coordination"
  execution_arns     = "${replace(var.state_machine_arn, ":stateMachine:", ":execution:")}:*"
  request_rule_arn   = "arn:${local.partition}:events:${local.here}:rule/${var.name}-request"
  schedule_arns      = "arn:${local.partition}:scheduler:${local.here}:schedule/default/${var.name}-*"
  sagemaker_prefix   = "arn:${local.partition}:sagemaker:${local.here}"
  log_group_prefix   = "arn:${local.partition}:logs:${local.here}:log-group"
  intake             = var.bucket_arns.intake
  work               = var.bucket_arns.work
  evidence           = var.bucket_arns.evidence
  key_arns           = concat([var.data_key_arn, var.checkpoint_key_arn], [for verb in sort(keys(var.signing_key_arns)) : var.signing_key_arns[verb]])
  attesting_key_arns = concat([var.checkpoint_key_arn], [for verb in sort(keys(var.signing_key_arns)) : var.signing_key_arns[verb]])
}
