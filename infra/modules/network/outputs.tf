output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Address space of the VPC, in CIDR notation."
  value       = aws_vpc.this.cidr_block
}

output "private_subnet_ids" {
  description = "Subnets without a way out, one in each zone: for jobs, models, endpoints and functions."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]

  # Who is given a subnet may start something in it at once: not before its walls stand.
  depends_on = [aws_network_acl.private, aws_route_table_association.private]
}

output "security_group_ids" {
  description = "Security groups by what they are for: functions, jobs, endpoints, vpc_endpoints, and downloads where `hub_egress` is `inspected`."
  value       = { for name, group in aws_security_group.this : name => group.id }

  depends_on = [
    aws_vpc_security_group_egress_rule.gateways,
    aws_vpc_security_group_egress_rule.vpc_endpoints,
    aws_vpc_security_group_ingress_rule.vpc_endpoints,
  ]
}

output "vpc_endpoint_ids" {
  description = "Endpoints of AWS services, gateways among them, by service."
  value       = merge([for endpoints in [aws_vpc_endpoint.gateway, aws_vpc_endpoint.interface] : { for service, endpoint in endpoints : service => endpoint.id }]...)
}

output "prefix_list_ids" {
  description = "Prefix lists of s3 and dynamodb, for security groups of other modules."
  value       = { for service, endpoint in aws_vpc_endpoint.gateway : service => endpoint.prefix_list_id }
}

output "flow_log_group" {
  description = "Log group of the flow logs; null if they go to a bucket."
  value       = one(aws_cloudwatch_log_group.flow[*].name)
}

output "flow_log_format" {
  description = "Fields of a flow log's line, in their order: the default format's 14 first."
  value       = local.flow_log_format
}

output "firewall_log_groups" {
  description = "Log groups of the firewall's alerts and flows; empty where `hub_egress` is `outside`."
  value       = { for type, group in aws_cloudwatch_log_group.firewall : local.firewall_log_groups[type] => group.name }
}

output "function_vpc_config" {
  description = "Where every function but download-model is placed if the functions run inside the VPC."
  value = {
    subnet_ids         = [for zone in local.zones : aws_subnet.private[zone].id]
    security_group_ids = [aws_security_group.this["functions"].id]
  }
}

output "download_vpc_config" {
  description = "Where download-model is placed: null for outside the VPC."
  value = local.inspected ? {
    subnet_ids         = [for zone in local.egress_zones : aws_subnet.egress["downloads-${zone}"].id]
    security_group_ids = [aws_security_group.this["downloads"].id]
  } : null

  # Without its route it would wait for the Hub until it times out.
  depends_on = [aws_route.downloads_to_firewall, aws_route.firewall_to_nat, aws_route.nat_to_internet, aws_route.nat_to_firewall]
}
