# What an account's own administrators cannot take away. It is made where the organisation is administered, which may be
# another account: then `organization_policies` are given to whoever administers it.
resource "aws_organizations_policy" "guard" {
  for_each = length(var.organization_targets) > 0 ? local.organization_documents : {}

  name        = "${var.name}-guard-${each.key}-${local.account_id}"
  description = each.key == "verified" ? "Only ${var.name}'s own roles change what serves and what was verified" : "Only who deploys ${var.name} changes its keys, roles, code and walls"
  type        = "SERVICE_CONTROL_POLICY"
  content     = each.value

  lifecycle {
    precondition {
      condition     = local.organization_lengths[each.key] <= 5120
      error_message = "The organisation's policy of what is ${each.key} has more than its 5,120 characters: shorten `name`, name fewer `deployers`, or give fewer `teams` approvers."
    }
  }
}

resource "aws_organizations_policy_attachment" "guard" {
  for_each = { for pair in setproduct(sort(tolist(var.organization_targets)), keys(local.guard_statements)) : join(" ", pair) => { target = pair[0], part = pair[1] } }

  policy_id = aws_organizations_policy.guard[each.value.part].id
  target_id = each.value.target
}
