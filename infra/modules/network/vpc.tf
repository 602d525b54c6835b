resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # endpoints answer to the services' own names only with this

  tags = { Name = var.name }
}

# What AWS makes with a VPC lets everything through for whoever forgets to choose. Adopted here and emptied, each
# then lets through nothing.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-default-closed" }
}

resource "aws_default_network_acl" "closed" {
  default_network_acl_id = aws_vpc.this.default_network_acl_id

  tags = { Name = "${var.name}-default-closed" }

  lifecycle {
    # A subnet of another module stands here until it chooses an ACL; to take it out is not this module's to do.
    ignore_changes = [subnet_ids]
  }
}

resource "aws_default_route_table" "closed" {
  default_route_table_id = aws_vpc.this.default_route_table_id
  route                  = []

  tags = { Name = "${var.name}-default-closed" }
}
