# Roles that people take on. A team has its own submitters, approvers and scientists; operators and auditors see every
# team. A role that nobody may take on is not made.

locals {
  people = merge(
    merge([
      for team, members in var.teams : {
        for kind, trusted in { submitter = members.submitters, approver = members.approvers, scientist = members.scientists } :
        "${team}-${kind}" => { kind = kind, team = team, trusted = trusted } if length(trusted) > 0
      }
    ]...),
    {
      for kind, trusted in { operator = var.operators, auditor = var.auditors } :
      kind => { kind = kind, team = null, trusted = trusted } if length(trusted) > 0
    },
  )

  people_names = { for key in keys(local.people) : key => "${var.name}-${key}" }
  people_arns  = { for key, name in local.people_names : key => "${local.iam_prefix}:role/${name}" }

  # What `aws:PrincipalArn` may hold for each. AWS says the role's ARN; some accounts that speak its protocol say the
  # session's, which AWS never does, so naming both gives nobody more.
  people_principals = {
    for key, name in local.people_names :
    key => [local.people_arns[key], "arn:${local.partition}:sts::${local.account_id}:assumed-role/${name}/*"]
  }

  approvers = sort([for key, person in local.people : key if person.kind == "approver"])
  operators = sort([for key, person in local.people : key if person.kind == "operator"])

  # Approving, rolling back and changing keys are asked for a second factor here, when the role is taken on, because it
  # can be asked for nowhere else: the sessions that AssumeRole gives out carry no `aws:MultiFactorAuthPresent`. A
  # condition on it in what such a role is granted would be false for everybody, and one with IfExists true.
  always_mfa = ["approver", "operator"]

  federated = var.identities.source == "identity-provider"

  # Nobody chooses what their session is called: it is half of `aws:userid`, and a request's place says by it who
  # submitted it.
  called_by_name = {
    "sts:RoleSessionName" = local.federated ? "$${aws:PrincipalTag/${var.identities.name_tag}}" : "$${aws:username}"
  }

  # IAM knows only of the second factors that it asks for itself. Of another's, an identity provider has to say so.
  with_mfa = jsondecode(local.federated ? jsonencode({
    StringEquals = merge(local.called_by_name, { "aws:PrincipalTag/${var.identities.mfa_tag}" = "true" })
    }) : jsonencode({
    StringEquals    = local.called_by_name
    Bool            = { "aws:MultiFactorAuthPresent" = "true" }
    NumericLessThan = { "aws:MultiFactorAuthAge" = tostring(var.mfa_max_age_seconds) }
  }))

  trust = {
    for key, person in local.people : key => concat(
      [{
        Sid       = "AssumeAsOneself"
        Effect    = "Allow"
        Principal = { AWS = sort(person.trusted) }
        Action    = "sts:AssumeRole"
        Condition = var.mfa_for_all || contains(local.always_mfa, person.kind) ? local.with_mfa : jsondecode(jsonencode({ StringEquals = local.called_by_name }))
      }],
      # A session that has a source identity takes it along, or cannot take on the role at all.
      [for statement in [{
        Sid       = "KeepOnesIdentity"
        Effect    = "Allow"
        Principal = { AWS = sort(person.trusted) }
        Action    = "sts:SetSourceIdentity"
        Condition = jsondecode(jsonencode({ StringEquals = { "sts:SourceIdentity" = "$${aws:PrincipalTag/${var.identities.name_tag}}" } }))
      }] : statement if local.federated],
    )
  }

  statements = {
    for key, person in local.people : key => {
      submitter = local.submitter_statements
      approver  = local.approver_statements
      scientist = local.scientist_statements
      operator  = { operator = local.operator_statements }
      auditor   = { auditor = local.auditor_statements }
    }[person.kind][person.team == null ? person.kind : person.team]
  }
}

resource "aws_iam_role" "people" {
  for_each = local.people

  name                 = local.people_names[each.key]
  description          = each.value.team == null ? "What an ${each.value.kind} of ${var.name} may do" : "What ${each.value.kind}s of ${each.value.team} may do in ${var.name}"
  max_session_duration = 3600
  permissions_boundary = aws_iam_policy.boundary.arn

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.trust[each.key]
  })

  # Sessions carry a role's tags as `aws:PrincipalTag`: buckets and keys elsewhere can tell teams apart by it. No session
  # can say otherwise, since sts:TagSession is granted to nobody.
  tags = each.value.team == null ? {} : { team = each.value.team }
}

resource "aws_iam_role_policy" "people" {
  #checkov:skip=CKV_AWS_355:metrics, log groups, groups of packages and X-Ray's traces are listed without a resource; a test holds the list
  #checkov:skip=CKV_AWS_290:the writing actions without a resource answer or end one's own queries and subscriptions; a test holds the list
  #parliament:skip=RESOURCE_MISMATCH(states:DescribeExecution, states:ListExecutions):the pipeline is a standard state machine; express executions and map runs are other kinds, which it has none of
  for_each = local.people

  name = "permissions"
  role = aws_iam_role.people[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.statements[each.key]
  })
}

resource "aws_iam_role_policy_attachment" "people" {
  for_each = { for pair in setproduct(keys(local.people), keys(local.guard_statements)) : join(" ", pair) => { person = pair[0], part = pair[1] } }

  role       = aws_iam_role.people[each.value.person].name
  policy_arn = aws_iam_policy.guard[each.value.part].arn
}
