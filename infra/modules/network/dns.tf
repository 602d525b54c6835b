# Security groups, ACLs and route tables do not apply to the VPC's resolver: whoever is inside can ask it for any name,
# and the name itself reaches the server of its domain. So it answers for AWS's names alone.
locals {
  resolvable = concat(
    ["*.${local.dns_suffix}"],
    local.inspected ? flatten([for host in var.hub_hosts : startswith(host, ".") ? [trimprefix(host, "."), "*${host}"] : [host]]) : [],
    var.resolvable_domains,
  )
}

resource "aws_route53_resolver_firewall_domain_list" "this" {
  for_each = var.dns_firewall ? { resolvable = local.resolvable, everything = ["*"] } : {}

  name    = "${var.name}-${each.key}"
  domains = each.value
}

resource "aws_route53_resolver_firewall_rule_group" "this" {
  count = var.dns_firewall ? 1 : 0

  name = var.name
}

resource "aws_route53_resolver_firewall_rule" "answer" {
  count = var.dns_firewall ? 1 : 0

  name                    = "answer-for-what-is-listed"
  action                  = "ALLOW"
  priority                = 100
  firewall_rule_group_id  = aws_route53_resolver_firewall_rule_group.this[0].id
  firewall_domain_list_id = aws_route53_resolver_firewall_domain_list.this["resolvable"].id

  # What a listed name is an alias of is its owner's to say, and may be under any domain.
  firewall_domain_redirection_action = "TRUST_REDIRECTION_DOMAIN"
}

resource "aws_route53_resolver_firewall_rule" "refuse" {
  count = var.dns_firewall ? 1 : 0

  name                    = "refuse-the-rest"
  action                  = "BLOCK"
  block_response          = "NXDOMAIN"
  priority                = 200
  firewall_rule_group_id  = aws_route53_resolver_firewall_rule_group.this[0].id
  firewall_domain_list_id = aws_route53_resolver_firewall_domain_list.this["everything"].id
}

resource "aws_route53_resolver_firewall_rule_group_association" "this" {
  count = var.dns_firewall ? 1 : 0

  name                   = var.name
  priority               = 101
  firewall_rule_group_id = aws_route53_resolver_firewall_rule_group.this[0].id
  vpc_id                 = aws_vpc.this.id

  # Rules first: a group that is associated while it is empty lets everything through.
  depends_on = [aws_route53_resolver_firewall_rule.answer, aws_route53_resolver_firewall_rule.refuse]
}

resource "aws_route53_resolver_firewall_config" "this" {
  count = var.dns_firewall ? 1 : 0

  resource_id        = aws_vpc.this.id
  firewall_fail_open = "DISABLED"
}
