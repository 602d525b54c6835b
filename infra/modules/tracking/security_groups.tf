# The chain: people and programs -> load balancer -> server -> database. Each link names the group before it, and no
# group has a rule beyond its links.
locals {
  groups = {
    load_balancer = "Load balancer of ${local.id}"
    server        = "Server of ${local.id}"
    database      = "Database of ${local.id}"
  }
}

resource "aws_security_group" "this" {
  for_each = local.groups

  name        = "${local.id}-${replace(each.key, "_", "-")}"
  description = each.value
  vpc_id      = var.vpc_id

  tags = { Name = "${local.id}-${replace(each.key, "_", "-")}" }
}

resource "aws_vpc_security_group_ingress_rule" "people" {
  for_each = toset(var.people_cidrs)

  security_group_id = aws_security_group.this["load_balancer"].id
  description       = "People sign in over TLS"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = local.people_port
  to_port           = local.people_port
}

resource "aws_vpc_security_group_ingress_rule" "machines" {
  for_each = local.machine_groups

  security_group_id            = aws_security_group.this["load_balancer"].id
  description                  = "${each.key} shows a certificate"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.machine_port
  to_port                      = local.machine_port
}

# The other end of it: groups that let nothing out by default would keep the programs in.
resource "aws_vpc_security_group_egress_rule" "machines" {
  for_each = local.machine_groups

  security_group_id            = each.value
  description                  = "To ${local.id}"
  referenced_security_group_id = aws_security_group.this["load_balancer"].id
  ip_protocol                  = "tcp"
  from_port                    = local.machine_port
  to_port                      = local.machine_port
}

resource "aws_vpc_security_group_egress_rule" "sign_in" {
  for_each = toset(var.sign_in.egress_cidrs)

  security_group_id = aws_security_group.this["load_balancer"].id
  description       = "Redeem sign-ins with Cognito"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_to_server" {
  security_group_id            = aws_security_group.this["load_balancer"].id
  description                  = "To the server"
  referenced_security_group_id = aws_security_group.this["server"].id
  ip_protocol                  = "tcp"
  from_port                    = local.server_port
  to_port                      = local.server_port
}

resource "aws_vpc_security_group_ingress_rule" "server_from_load_balancer" {
  security_group_id            = aws_security_group.this["server"].id
  description                  = "From the load balancer alone: nobody reaches the server without having been asked who he is"
  referenced_security_group_id = aws_security_group.this["load_balancer"].id
  ip_protocol                  = "tcp"
  from_port                    = local.server_port
  to_port                      = local.server_port
}

resource "aws_vpc_security_group_egress_rule" "server_to_database" {
  security_group_id            = aws_security_group.this["server"].id
  description                  = "To the database"
  referenced_security_group_id = aws_security_group.this["database"].id
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port
}

resource "aws_vpc_security_group_ingress_rule" "database_from_server" {
  security_group_id            = aws_security_group.this["database"].id
  description                  = "From the server"
  referenced_security_group_id = aws_security_group.this["server"].id
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port
}

resource "aws_vpc_security_group_egress_rule" "server_to_endpoints" {
  security_group_id            = aws_security_group.this["server"].id
  description                  = "To AWS's services, through the VPC's endpoints"
  referenced_security_group_id = var.vpc_endpoint_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_from_server" {
  security_group_id            = var.vpc_endpoint_security_group_id
  description                  = "From ${local.id}'s server"
  referenced_security_group_id = aws_security_group.this["server"].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

data "aws_prefix_list" "s3" {
  name = "com.amazonaws.${local.region}.s3"
}

resource "aws_vpc_security_group_egress_rule" "server_to_s3" {
  security_group_id = aws_security_group.this["server"].id
  description       = "To S3, through the VPC's gateway endpoint: artefacts, and the image's layers"
  prefix_list_id    = data.aws_prefix_list.s3.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
