output "role_arns" {
  description = "People's roles, by `<team>-submitter`, `<team>-approver`, `<team>-scientist`, `operator` and `auditor`."
  value       = { for key, role in aws_iam_role.people : key => role.arn }
}

output "boundary_policy_arn" {
  description = "What people may at most do: for roles of people that are made elsewhere, too."
  value       = aws_iam_policy.boundary.arn
}

output "guard_policy_arns" {
  description = "Managed policies that deny changes to all but Lockstep's roles: `verified` to what serves and was verified, `foundations` to what that rests on."
  value       = { for part, policy in aws_iam_policy.guard : part => policy.arn }
}

output "organization_policies" {
  description = "The same two for AWS Organizations service control policies, as JSON. One takes at most 5,120 characters."
  value       = local.organization_documents
}

output "incident_rule_arns" {
  description = "Rules that publish incidents: sources that the topic's and its key's policies must let events.amazonaws.com publish for."
  value       = { for name, rule in aws_cloudwatch_event_rule.incident : name => rule.arn }
}

output "incidents" {
  description = "Severity and meaning of each incident, for a runbook: each has a section of this name."
  value       = { for name, incident in local.incidents : name => { severity = incident.severity, what = incident.what } }
}
