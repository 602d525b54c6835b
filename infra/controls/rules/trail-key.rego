# Who reads a trail learns everything that happened. The key keeps that apart from reading the bucket.
package controls.trail_key

import rego.v1

metadata := {
	"id": "trail-key",
	"title": "Trails are encrypted with a key of ours",
	"severity": "medium",
	"nist_800_53": ["AU-9", "AU-9(3)", "SC-28"],
	"cis_aws": ["3.5"],
	"owasp_ml": ["ML06"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.of("aws_cloudtrail")
	not data.plan.has_key(resource, ["kms_key_id"])
	msg := "the trail has no KMS key of ours"
	remedy := "set kms_key_id to the key's ARN"
}
