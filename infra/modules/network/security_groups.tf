locals {
  # Who there is, and which gateways each may reach. Everybody may reach the interface endpoints.
  clients = merge(
    {
      functions = { description = "Functions that run inside the VPC", gateways = ["dynamodb", "s3"] }
      jobs      = { description = "Training and processing jobs", gateways = ["s3"] }
      endpoints = { description = "Models and endpoints", gateways = ["s3"] }
    },
    local.inspected ? {
      downloads = { description = "download-model, the one function with a way out", gateways = [] }
    } : {},
  )

  groups = merge(
    { for name, client in local.clients : name => client.description },
    { vpc_endpoints = "Interface endpoints of AWS services" },
  )

  to_gateways = merge([
    for name, client in local.clients : { for gateway in client.gateways : "${name}-${gateway}" => { group = name, gateway = gateway } }
  ]...)
}

# Rules are resources of their own: a group that carries them shows them as changed in every second plan as soon as
# another module adds one, and takes that one away.
resource "aws_security_group" "this" {
  for_each = local.groups

  #checkov:skip=CKV2_AWS_5:Attached by the modules that these groups are outputs for
  name        = "${var.name}-${replace(each.key, "_", "-")}"
  description = each.value
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-${replace(each.key, "_", "-")}" }
}

resource "aws_vpc_security_group_ingress_rule" "vpc_endpoints" {
  for_each = local.clients

  security_group_id            = aws_security_group.this["vpc_endpoints"].id
  description                  = "TLS from ${each.key}"
  referenced_security_group_id = aws_security_group.this[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

# The downloads' way to the endpoints is part of its way out, and a rule within another is one too many.
resource "aws_vpc_security_group_egress_rule" "vpc_endpoints" {
  for_each = { for name, client in local.clients : name => client if name != "downloads" }

  security_group_id            = aws_security_group.this[each.key].id
  description                  = "TLS to the interface endpoints"
  referenced_security_group_id = aws_security_group.this["vpc_endpoints"].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "gateways" {
  for_each = local.to_gateways

  security_group_id = aws_security_group.this[each.value.group].id
  description       = "TLS to ${each.value.gateway} through its gateway"
  prefix_list_id    = aws_vpc_endpoint.gateway[each.value.gateway].prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# A group cannot name hosts. The firewall on the only route does.
resource "aws_vpc_security_group_egress_rule" "downloads" {
  count = local.inspected ? 1 : 0

  security_group_id = aws_security_group.this["downloads"].id
  description       = "TLS, to what the firewall lets through"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# SageMaker asks for every protocol between the instances of one job.
resource "aws_vpc_security_group_ingress_rule" "between_jobs" {
  count = var.distributed_training ? 1 : 0

  security_group_id            = aws_security_group.this["jobs"].id
  description                  = "From the job's other instances"
  referenced_security_group_id = aws_security_group.this["jobs"].id
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_egress_rule" "between_jobs" {
  count = var.distributed_training ? 1 : 0

  security_group_id            = aws_security_group.this["jobs"].id
  description                  = "To the job's other instances"
  referenced_security_group_id = aws_security_group.this["jobs"].id
  ip_protocol                  = "-1"
}
