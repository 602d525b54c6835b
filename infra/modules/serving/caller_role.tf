# Who asks the model. Nothing else in the account needs to be able to, so nothing else is granted it.
resource "aws_iam_role" "caller" {
  count = length(var.callers) > 0 ? 1 : 0

  name                 = local.role_names.caller
  description          = "Invokes the endpoints of ${var.name}, and does nothing else"
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CallAsWhoIsNamed"
      Effect    = "Allow"
      Principal = { AWS = sort(var.callers) }
      Action    = "sts:AssumeRole"
    }]
  })
}

locals {
  invocations = var.response_streams ? ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"] : ["sagemaker:InvokeEndpoint"]

  # Credentials that leak are worth nothing outside the VPC.
  from_the_vpc = var.vpc_endpoint_id == null ? {} : { StringEquals = { "aws:SourceVpce" = var.vpc_endpoint_id } }

  # No endpoint here holds several models: who names one is after another one's.
  of_one_model = { Null = { "sagemaker:TargetModel" = "true" } }
}

resource "aws_iam_role_policy" "caller" {
  count = length(var.callers) > 0 ? 1 : 0

  name = "permissions"
  role = aws_iam_role.caller[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "InvokeTheDeclaredEndpoints"
      Effect    = "Allow"
      Action    = local.invocations
      Resource  = local.endpoint_arns
      Condition = merge(local.of_one_model, local.from_the_vpc)
    }]
  })
}
