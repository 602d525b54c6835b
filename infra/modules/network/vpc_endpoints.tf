# Gateways cost nothing and stand in the route tables.
resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateway_policies

  vpc_id            = aws_vpc.this.id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${local.region}.${each.key}"
  route_table_ids   = concat([aws_route_table.private.id], [for zone in local.egress_zones : aws_route_table.downloads[zone].id])
  policy            = each.value

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = aws_vpc.this.id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  subnet_ids          = [for zone in local.zones : aws_subnet.private[zone].id]
  security_group_ids  = [aws_security_group.this["vpc_endpoints"].id]
  private_dns_enabled = true
  policy              = local.interface_policies[each.key]

  tags = { Name = "${var.name}-${each.key}" }
}
