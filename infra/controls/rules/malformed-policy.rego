# A rule about statements sees none in what has none, and would let it pass.
package controls.malformed_policy

import rego.v1

metadata := {
	"id": "malformed-policy",
	"title": "Every policy is one that the rules can read",
	"severity": "high",
	"nist_800_53": ["AC-3", "AC-6", "CM-6"],
	"cis_aws": [],
	"owasp_ml": ["ML06"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.resources
	some attribute in data.iam.attributes(resource)
	text := data.plan.text(resource, [attribute])
	text != ""
	not is_policy(json.unmarshal(text))
	msg := sprintf("%s is no policy: an object whose every Statement has an Effect and an Action or NotAction", [attribute])
	remedy := "write it with jsonencode({ Version = \"2012-10-17\", Statement = [...] })"
}

is_policy(document) if {
	statements := data.plan.list(document.Statement)
	count(statements) > 0
	every statement in statements {
		statement.Effect in ["Allow", "Deny"]
		acts(statement)
	}
}

acts(statement) if statement.Action

acts(statement) if statement.NotAction
