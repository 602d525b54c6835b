output "endpoint_role_arn" {
  description = "Role that models run under: what deploy-endpoint passes to SageMaker."
  value       = aws_iam_role.endpoint.arn
}

output "endpoint_role_name" {
  description = "That role's name."
  value       = aws_iam_role.endpoint.name
}

output "endpoint_role_principals" {
  description = "Values of `aws:PrincipalArn` that endpoints pull their image under, for the registry's `pullers`."
  value = [
    "arn:${local.partition}:iam::${local.account_id}:role/${local.role_names.endpoint}",
    "arn:${local.partition}:sts::${local.account_id}:assumed-role/${local.role_names.endpoint}/*",
  ]
}

output "caller_role_arn" {
  description = "Role that invokes the endpoints; null without `callers`."
  value       = one(aws_iam_role.caller[*].arn)
}

output "endpoints" {
  description = "By endpoint: `alarms` that roll a deployment back, `notices` that tell somebody only, and the ARN."
  value = {
    for name in keys(var.endpoints) : name => {
      alarms  = local.guardrail_names[name]
      notices = sort([for key, notice in local.notices : "${var.name}-${key}" if notice.endpoint == name])
      arn     = "${local.sagemaker_prefix}:endpoint/${lower(name)}"
      variant = var.variant_name
    }
  }
}

output "vpc_config" {
  description = "Where models run: `VpcConfig` of CreateModel."
  value       = { subnets = var.subnet_ids, security_group_ids = var.security_group_ids }
}

output "enable_network_isolation" {
  description = "Whether containers are cut off from every network, SageMaker's own staging apart. Always."
  value       = true
}

output "vpc_endpoint_policy" {
  description = "Policy for the interface endpoint of `sagemaker.runtime`, as JSON: this account's principals, the declared endpoints."
  value       = jsonencode(local.vpc_endpoint_policy)
}

output "guard_policy_arn" {
  description = "Managed policy for whoever may make models outside Lockstep: denies them without VPC, isolation and the data key."
  value       = aws_iam_policy.guard.arn
}

output "guard_statements" {
  description = "The same statements, for a permissions boundary or an organisation's policy."
  value       = local.guard_statements
}
