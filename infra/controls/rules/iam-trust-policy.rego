# A role that anybody may assume makes whatever it may do public. A federated identity without a subject is
# anybody who has an account at that provider.
package controls.iam_trust_policy

import rego.v1

metadata := {
	"id": "iam-trust-policy",
	"title": "Roles trust somebody in particular",
	"severity": "critical",
	"nist_800_53": ["AC-3", "AC-6", "IA-2", "IA-8"],
	"cis_aws": [],
	"owasp_ml": ["ML05", "ML06"],
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.trust
	some statement in data.iam.allows(document)
	data.iam.is_public(statement)
	msg := sprintf("statement %s lets everybody assume the role", [statement.sid])
	remedy := "name the principals"
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.trust
	some statement in data.iam.allows(document)
	data.iam.may(statement, "sts:AssumeRoleWithWebIdentity")
	not names_a_subject(statement)
	msg := sprintf("statement %s trusts every identity of its provider", [statement.sid])
	remedy := "add a StringEquals condition on the provider's `:sub` claim"
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.trust
	some statement in data.iam.allows(document)
	data.iam.may(statement, "sts:AssumeRoleWithSAML")
	not names_an_audience(statement)
	msg := sprintf("statement %s takes a SAML assertion for any audience", [statement.sid])
	remedy := "add a StringEquals condition on SAML:aud"
}

names_a_subject(statement) if {
	some condition in statement.conditions
	startswith(condition.operator, "String")
	not startswith(condition.operator, "StringNot")
	not endswith(condition.operator, "IfExists")
	endswith(condition.key, ":sub")
	count(condition.values) > 0
	not "*" in condition.values
}

names_an_audience(statement) if {
	some condition in statement.conditions
	condition.operator == "StringEquals"
	condition.key == "saml:aud"
}
