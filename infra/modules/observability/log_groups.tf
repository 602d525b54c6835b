locals {
  # SageMaker chooses these names, and makes a group that it does not find: without a key, to be kept for ever.
  job_log_groups      = var.own_job_log_groups ? ["/aws/sagemaker/TrainingJobs", "/aws/sagemaker/ProcessingJobs"] : []
  endpoint_log_groups = [for name in sort(keys(var.endpoints)) : "/aws/sagemaker/Endpoints/${name}"]
  findings_log_group  = "/aws/events/${var.name}-findings"

  log_groups = toset(concat(local.job_log_groups, local.endpoint_log_groups, [local.findings_log_group]))
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:Retention is a variable; what an audit needs for longer is in the trail and in the evidence.
  for_each = local.log_groups

  name              = each.key
  retention_in_days = var.log_retention_days
  kms_key_id        = var.data_key_arn
}
