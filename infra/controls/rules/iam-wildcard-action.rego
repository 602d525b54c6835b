# A pattern grants what AWS adds next year as well. Lockstep compares grants with calls, and a pattern cannot be
# compared.
package controls.iam_wildcard_action

import rego.v1

metadata := {
	"id": "iam-wildcard-action",
	"title": "Policies name each action that they allow",
	"severity": "critical",
	"nist_800_53": ["AC-2", "AC-3", "AC-6"],
	"cis_aws": ["1.16"],
	"owasp_ml": ["ML05", "ML06"],
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.identity
	some statement in data.iam.allows(document)
	some action in statement.actions
	contains(action, "*")
	msg := sprintf("statement %s allows %s", [statement.sid, action])
	remedy := "name each action that is called"
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.identity
	some statement in data.iam.allows(document)
	count(statement.not_actions) > 0
	msg := sprintf("statement %s allows everything but its NotAction", [statement.sid])
	remedy := "name each action that is called"
}
