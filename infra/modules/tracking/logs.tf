# Made before what writes to them: ECS, Container Insights and RDS would make their own, without key or end.
resource "aws_cloudwatch_log_group" "this" {
  for_each = local.log_groups

  #checkov:skip=CKV_AWS_338:How long logs are kept is the environment's decision; 90 days is the project's least.
  name              = each.value
  retention_in_days = var.log_retention_days
  kms_key_id        = var.data_key_arn
}
