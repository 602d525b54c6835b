# A policy that mentions a key which does not exist yet is unknown as a whole, and what is unknown cannot pass.
# For a first apply, --allow-unknown lists these instead: the plan after it must be checked again, without.
package controls.unknown_document

import rego.v1

metadata := {
	"id": "unknown-document",
	"title": "Every policy can be read before it is applied",
	"severity": "high",
	"nist_800_53": ["AC-6", "CM-3", "CM-4", "CM-6"],
	"cis_aws": [],
	"owasp_ml": ["ML06"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.resources
	some attribute in documents(resource)
	data.plan.is_unknown(resource, [attribute])
	data.plan.comes_from_a_resource(resource, [attribute])
	msg := sprintf("%s is not known until it is applied", [attribute])
	remedy := "build its ARNs from names, which are known; or give --allow-unknown, and check the plan that follows the apply"
}

documents(resource) := array.concat(data.iam.attributes(resource), [attribute | attribute := others[resource.type]])

others := {"aws_ecs_task_definition": "container_definitions"}
