# Who may pass any role may become any role: a training job under an administrator's role is an administrator.
package controls.iam_pass_role

import rego.v1

metadata := {
	"id": "iam-pass-role",
	"title": "A role is passed by name, and to one service",
	"severity": "critical",
	"nist_800_53": ["AC-5", "AC-6", "AC-6(5)"],
	"cis_aws": [],
	"owasp_ml": ["ML06", "ML10"],
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.identity
	some statement in data.iam.allows(document)
	data.iam.may(statement, "iam:PassRole")
	some resource in statement.resources
	names_any_role(resource)
	msg := sprintf("statement %s passes any role (%s)", [statement.sid, resource])
	remedy := "name the role's ARN"
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.identity
	some statement in data.iam.allows(document)
	data.iam.may(statement, "iam:PassRole")
	not names_a_service(statement)
	msg := sprintf("statement %s passes a role to any service", [statement.sid])
	remedy := "add Condition = { StringEquals = { \"iam:PassedToService\" = \"sagemaker.amazonaws.com\" } }, with the service that takes it"
}

names_any_role(resource) if resource == "*"

names_any_role(resource) if {
	some ending in [":*", ":role/*", ":role*"]
	endswith(resource, ending)
}

names_a_service(statement) if {
	some condition in statement.conditions
	condition.operator in ["StringEquals", "StringLike", "ForAllValues:StringEquals", "ForAnyValue:StringEquals"]
	condition.key == "iam:passedtoservice"
	count(condition.values) > 0
	every value in condition.values {
		not contains(value, "*")
	}
}
