# Some actions know no resource. Those are in actions-without-resource.json, each with its reason and, where IAM
# has one, with the condition key that must stand in.
package controls.iam_wildcard_resource

import rego.v1

metadata := {
	"id": "iam-wildcard-resource",
	"title": "Policies name each resource that they reach",
	"severity": "high",
	"nist_800_53": ["AC-3", "AC-6"],
	"cis_aws": ["1.16"],
	"owasp_ml": ["ML05", "ML10"],
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.identity
	some statement in data.iam.allows(document)
	some resource in statement.resources
	is_everything(resource)
	some action in statement.actions
	not is_reviewed(action, statement)
	msg := sprintf("statement %s allows %s on %s", [statement.sid, action, resource])
	remedy := "name the resource; an action that knows none goes into actions-without-resource.json, with the reason"
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.identity
	some statement in data.iam.allows(document)
	count(statement.not_resources) > 0
	msg := sprintf("statement %s allows everything but its NotResource", [statement.sid])
	remedy := "name the resources"
}

is_everything(resource) if resource == "*"

# Every resource of a service: arn:partition:service:region:account:*
is_everything(resource) if {
	parts := split(resource, ":")
	count(parts) == 6
	parts[0] == "arn"
	parts[5] == "*"
}

is_reviewed(action, _) if {
	entry := data.actions_without_resource[action]
	not entry.condition
}

is_reviewed(action, statement) if {
	entry := data.actions_without_resource[action]
	some condition in statement.conditions
	condition.key == lower(entry.condition)
	count(condition.values) > 0
	every value in condition.values {
		value != "*"
	}
}
