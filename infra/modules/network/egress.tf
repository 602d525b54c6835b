# The one way out, where `hub_egress` is `inspected`. In each zone a packet goes
#
#   downloads -> firewall -> nat -> internet
#
# and its answer the same way back, since the firewall knows a connection only if it sees both halves: hence a set of
# subnets and tables for each zone, and the route from the NAT gateway's subnet back through the firewall.
locals {
  egress_zones = local.inspected ? local.zones : []

  egress_subnets = local.inspected ? merge([
    for tier, cidrs in local.egress_cidrs : { for zone, cidr in cidrs : "${tier}-${zone}" => { tier = tier, zone = zone, cidr = cidr } }
  ]...) : {}

  # The quarter of the last eighth that holds the downloads' subnets, of however many zones.
  downloads_cidr = cidrsubnet(cidrsubnet(var.cidr, 3, 7), 2, 0)
}

resource "aws_subnet" "egress" {
  for_each = local.egress_subnets

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.value.zone
  cidr_block              = each.value.cidr
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_internet_gateway" "this" {
  count = local.inspected ? 1 : 0

  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_eip" "nat" {
  for_each = toset(local.egress_zones)

  domain = "vpc"

  tags = { Name = "${var.name}-nat-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.egress_zones)

  subnet_id     = aws_subnet.egress["nat-${each.key}"].id
  allocation_id = aws_eip.nat[each.key].id

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_route_table" "downloads" {
  for_each = toset(local.egress_zones)

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-downloads-${each.key}" }
}

resource "aws_route_table" "firewall" {
  for_each = toset(local.egress_zones)

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-firewall-${each.key}" }
}

resource "aws_route_table" "nat" {
  for_each = toset(local.egress_zones)

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-nat-${each.key}" }
}

resource "aws_route_table_association" "egress" {
  for_each = local.egress_subnets

  subnet_id = aws_subnet.egress[each.key].id
  route_table_id = {
    downloads = aws_route_table.downloads
    firewall  = aws_route_table.firewall
    nat       = aws_route_table.nat
  }[each.value.tier][each.value.zone].id
}

resource "aws_route" "downloads_to_firewall" {
  for_each = toset(local.egress_zones)

  route_table_id         = aws_route_table.downloads[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  vpc_endpoint_id        = local.firewall_endpoint_ids[each.key]
}

resource "aws_route" "firewall_to_nat" {
  for_each = toset(local.egress_zones)

  route_table_id         = aws_route_table.firewall[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[each.key].id
}

resource "aws_route" "nat_to_internet" {
  for_each = toset(local.egress_zones)

  route_table_id         = aws_route_table.nat[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route" "nat_to_firewall" {
  for_each = toset(local.egress_zones)

  route_table_id         = aws_route_table.nat[each.key].id
  destination_cidr_block = local.egress_cidrs.downloads[each.key]
  vpc_endpoint_id        = local.firewall_endpoint_ids[each.key]
}

resource "aws_network_acl" "downloads" {
  count = local.inspected ? 1 : 0

  #checkov:skip=CKV_AWS_231:Port 3389 is among those that answers come to; Lambda sends from 1024 on, and takes nothing in
  #checkov:skip=CKV_AWS_352:Answers come to any port from 1024 on, and the security group takes in nothing else
  #checkov:skip=CKV2_AWS_1:Attached to the downloads' subnets, which are picked from a map by name
  vpc_id     = aws_vpc.this.id
  subnet_ids = [for zone in local.egress_zones : aws_subnet.egress["downloads-${zone}"].id]

  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    cidr_block = "0.0.0.0/0"
    from_port  = 1024
    to_port    = 65535
  }

  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    cidr_block = "0.0.0.0/0"
    from_port  = 443
    to_port    = 443
  }

  tags = { Name = "${var.name}-downloads" }
}

# What passes the firewall and the NAT gateways: requests of the downloads, and their answers.
resource "aws_network_acl" "passage" {
  count = local.inspected ? 1 : 0

  #checkov:skip=CKV_AWS_231:Port 3389 is among those that answers come to, and a NAT gateway takes in nothing else
  #checkov:skip=CKV_AWS_352:Answers come to any port from 1024 on, and a NAT gateway takes in nothing else
  vpc_id     = aws_vpc.this.id
  subnet_ids = [for name, subnet in local.egress_subnets : aws_subnet.egress[name].id if subnet.tier != "downloads"]

  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    cidr_block = local.downloads_cidr
    from_port  = 443
    to_port    = 443
  }

  ingress {
    rule_no    = 110
    action     = "allow"
    protocol   = "tcp"
    cidr_block = "0.0.0.0/0"
    from_port  = 1024
    to_port    = 65535
  }

  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    cidr_block = "0.0.0.0/0"
    from_port  = 443
    to_port    = 443
  }

  egress {
    rule_no    = 110
    action     = "allow"
    protocol   = "tcp"
    cidr_block = local.downloads_cidr
    from_port  = 1024
    to_port    = 65535
  }

  tags = { Name = "${var.name}-passage" }
}
