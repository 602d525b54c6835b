# Everybody can have a workflow at GitHub. A subject with a wildcard in the owner or repository lets others in;
# one that ends in it lets any branch and any pull request apply.
package controls.github_oidc_subject

import rego.v1

metadata := {
	"id": "github-oidc-subject",
	"title": "Workflows assume roles by repository and by branch or environment",
	"severity": "critical",
	"nist_800_53": ["AC-6", "CM-3", "CM-5", "IA-2", "SR-3"],
	"cis_aws": [],
	"owasp_ml": ["ML06"],
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.trust
	some statement in github_statements(document)
	some condition in statement.conditions
	endswith(condition.key, ":sub")
	some subject in condition.values
	not is_precise(subject)
	msg := sprintf("statement %s trusts the subject %s", [statement.sid, subject])
	remedy := "bind the subject to one repository and one environment or branch: repo:OWNER/NAME:environment:ENVIRONMENT"
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.trust
	some statement in github_statements(document)
	not names_sts(statement)
	msg := sprintf("statement %s takes a token that was meant for another audience", [statement.sid])
	remedy := "add StringEquals on token.actions.githubusercontent.com:aud with sts.amazonaws.com"
}

github_statements(document) := [statement |
	some statement in data.iam.allows(document)
	some principal in statement.principals
	contains(principal, "token.actions.githubusercontent.com")
]

is_precise(subject) if {
	not contains(subject, "*")
	not contains(subject, "?")
	parts := split(subject, ":")
	count(parts) >= 3
	parts[0] == "repo"
}

names_sts(statement) if {
	some condition in statement.conditions
	condition.operator == "StringEquals"
	endswith(condition.key, ":aud")
	count(condition.values) > 0
	every audience in condition.values {
		startswith(audience, "sts.amazonaws.com")
	}
}
