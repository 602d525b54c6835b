# What was scanned must be what runs. Digests see to that for runs; for everybody else who pulls by tag,
# immutability does.
package controls.repository_immutable

import rego.v1

metadata := {
	"id": "repository-immutable",
	"title": "A tag names one image for ever",
	"severity": "high",
	"nist_800_53": ["CM-3", "SI-7", "SR-11"],
	"cis_aws": [],
	"owasp_ml": ["ML06"],
}

deny contains data.plan.violation(repository, msg, remedy) if {
	some repository in data.plan.of("aws_ecr_repository")
	data.plan.value(repository, ["image_tag_mutability"]) != "IMMUTABLE"
	msg := "tags can be moved to another image"
	remedy := "set image_tag_mutability = \"IMMUTABLE\""
}
