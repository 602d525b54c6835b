# For the interface endpoint of `sagemaker.runtime`: nobody carries data out of the VPC by invoking an endpoint in an
# account of their own, with credentials of their own. Both sides must be this account's.
locals {
  vpc_endpoint_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "InvokeTheDeclaredEndpoints"
      Effect    = "Allow"
      Principal = "*"
      Action    = local.invocations
      Resource  = local.endpoint_arns
      Condition = { StringEquals = { "aws:PrincipalAccount" = local.account_id } }
    }]
  }
}
