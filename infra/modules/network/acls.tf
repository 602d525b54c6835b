# A second wall behind the security groups, for the day that somebody attaches another one. ACLs keep no state, so
# each direction's answers need a rule; they know no prefix lists, so S3 and DynamoDB are 0.0.0.0/0 here: where there
# is no route, nobody else answers. The resolver is not subject to ACLs.
resource "aws_network_acl" "private" {
  #checkov:skip=CKV_AWS_231:Port 3389 is among those that S3 answers to; Lambda sends from 1024 on, and no route leads in
  #checkov:skip=CKV_AWS_352:Answers come to any port from 1024 on, and no route leads in
  vpc_id     = aws_vpc.this.id
  subnet_ids = [for zone in local.zones : aws_subnet.private[zone].id]

  # To the interface endpoints, which stand in these subnets.
  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    cidr_block = var.cidr
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
    cidr_block = var.cidr
    from_port  = 1024
    to_port    = 65535
  }

  # Between a job's instances: any protocol, ESP among them where that traffic is encrypted.
  dynamic "ingress" {
    for_each = var.distributed_training ? [var.cidr] : []

    content {
      rule_no    = 120
      action     = "allow"
      protocol   = "-1"
      cidr_block = ingress.value
      from_port  = 0
      to_port    = 0
    }
  }

  dynamic "egress" {
    for_each = var.distributed_training ? [var.cidr] : []

    content {
      rule_no    = 120
      action     = "allow"
      protocol   = "-1"
      cidr_block = egress.value
      from_port  = 0
      to_port    = 0
    }
  }

  tags = { Name = "${var.name}-private" }
}
