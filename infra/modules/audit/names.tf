data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

# Names are written out and not read from the resources that carry them: a policy can then name what it guards
# before that exists.
locals {
  account_id       = data.aws_caller_identity.current.account_id
  partition        = data.aws_partition.current.partition
  region           = data.aws_region.current.name
  dns_suffix       = data.aws_partition.current.dns_suffix
  log_group_prefix = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group"

  trail_name      = "${var.name}-trail"
  trail_arn       = "arn:${local.partition}:cloudtrail:${local.region}:${local.account_id}:trail/${local.trail_name}"
  trail_log_group = "/aws/cloudtrail/${local.trail_name}"

  bucket_names = { for purpose in local.buckets : purpose => "${var.name}-${purpose}-${local.account_id}" }
  bucket_arns  = { for purpose, name in local.bucket_names : purpose => "arn:${local.partition}:s3:::${name}" }

  # What is audited.
  audited_buckets = { for purpose, name in var.buckets : purpose => "arn:${local.partition}:s3:::${name}" }
  functions       = "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${var.name}-"
}
