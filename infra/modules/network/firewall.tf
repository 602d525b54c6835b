locals {
  firewall_log_groups = local.inspected ? { ALERT = "alert", FLOW = "flow" } : {}

  firewall_endpoint_ids = local.inspected ? {
    for state in one(aws_networkfirewall_firewall.this[*].firewall_status)[0].sync_states :
    state.availability_zone => state.attachment[0].endpoint_id
  } : {}
}

# By the name that the client says it wants, in the clear part of the TLS handshake: nothing is decrypted. What is not
# TLS matches no rule.
resource "aws_networkfirewall_rule_group" "hub" {
  count = local.inspected ? 1 : 0

  name        = "${var.name}-hub"
  description = "Hosts that download-model may reach"
  type        = "STATEFUL"
  capacity    = 100 # cannot be changed later; a host takes one

  rule_group {
    stateful_rule_options {
      rule_order = "STRICT_ORDER"
    }

    rules_source {
      rules_source_list {
        generated_rules_type = "ALLOWLIST"
        target_types         = ["TLS_SNI"]
        targets              = var.hub_hosts
      }
    }
  }

  encryption_configuration {
    type   = "CUSTOMER_KMS"
    key_id = var.data_key_arn
  }

  tags = { Name = "${var.name}-hub" }
}

resource "aws_networkfirewall_firewall_policy" "hub" {
  count = local.inspected ? 1 : 0

  name        = "${var.name}-hub"
  description = "Lets through TLS to the Hub and drops the rest"

  firewall_policy {
    stateless_default_actions          = ["aws:forward_to_sfe"]
    stateless_fragment_default_actions = ["aws:drop"]

    # A name is known only after the connection stands, so what drops everything else must let it be set up:
    # `drop_strict` would drop its first packet.
    stateful_default_actions = ["aws:drop_established", "aws:alert_established"]

    stateful_engine_options {
      rule_order              = "STRICT_ORDER"
      stream_exception_policy = "DROP"
    }

    stateful_rule_group_reference {
      priority     = 100
      resource_arn = aws_networkfirewall_rule_group.hub[0].arn
    }
  }

  encryption_configuration {
    type   = "CUSTOMER_KMS"
    key_id = var.data_key_arn
  }

  tags = { Name = "${var.name}-hub" }
}

resource "aws_networkfirewall_firewall" "this" {
  count = local.inspected ? 1 : 0

  name                              = var.name
  description                       = "Between download-model and the internet"
  vpc_id                            = aws_vpc.this.id
  firewall_policy_arn               = aws_networkfirewall_firewall_policy.hub[0].arn
  delete_protection                 = var.deletion_protection
  subnet_change_protection          = var.deletion_protection
  firewall_policy_change_protection = var.deletion_protection

  dynamic "subnet_mapping" {
    for_each = local.egress_zones

    content {
      subnet_id = aws_subnet.egress["firewall-${subnet_mapping.value}"].id
    }
  }

  encryption_configuration {
    type   = "CUSTOMER_KMS"
    key_id = var.data_key_arn
  }

  tags = { Name = var.name }
}

resource "aws_cloudwatch_log_group" "firewall" {
  for_each = local.firewall_log_groups

  #checkov:skip=CKV_AWS_338:How long logs are kept is a variable; 90 days here
  name              = "/aws/vendedlogs/network-firewall/${var.name}-${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.data_key_arn
}

resource "aws_networkfirewall_logging_configuration" "this" {
  count = local.inspected ? 1 : 0

  firewall_arn = aws_networkfirewall_firewall.this[0].arn

  logging_configuration {
    dynamic "log_destination_config" {
      for_each = local.firewall_log_groups

      content {
        log_type             = log_destination_config.key
        log_destination_type = "CloudWatchLogs"
        log_destination      = { logGroup = aws_cloudwatch_log_group.firewall[log_destination_config.key].name }
      }
    }
  }
}
