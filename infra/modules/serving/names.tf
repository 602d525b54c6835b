data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

# Written out, and not read from what carries them, so that policies can name what does not exist yet: an endpoint
# is made by a run, long after this is applied.
locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name

  role_names       = { for purpose in ["endpoint", "caller"] : purpose => "${var.name}-${purpose}" }
  log_group_prefix = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group"
  sagemaker_prefix = "arn:${local.partition}:sagemaker:${local.region}:${local.account_id}"
  ec2_prefix       = "arn:${local.partition}:ec2:${local.region}:${local.account_id}"

  # SageMaker keeps names as they are, but writes them in ARNs in lower case.
  endpoint_arns = [for name in sort(keys(var.endpoints)) : "${local.sagemaker_prefix}:endpoint/${lower(name)}"]
}
