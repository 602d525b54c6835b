# What a key encrypted goes with it, and what a trail did not see did not happen. --allow-destroy ADDRESS, in the
# plan's own spelling, is the somebody.
package controls.protected_destroy

import rego.v1

metadata := {
	"id": "protected-destroy",
	"title": "Keys, evidence and trails go only when somebody says so",
	"severity": "critical",
	"nist_800_53": ["AU-9", "AU-11", "CM-3", "CP-9", "SC-12"],
	"cis_aws": [],
	"owasp_ml": ["ML09", "ML10"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.leaving
	is_protected(resource)
	not resource.address in data.allow_destroy
	msg := sprintf("the plan destroys this %s", [resource.type])
	remedy := sprintf("leave it, or run the check again with --allow-destroy '%s'", [resource.address])
}

is_protected(resource) if {
	resource.type in {
		"aws_kms_key", "aws_kms_external_key", "aws_kms_replica_key", "aws_cloudtrail", "aws_cloudtrail_event_data_store",
		"aws_s3_bucket_object_lock_configuration", "aws_guardduty_detector",
	}
}

is_protected(resource) if {
	resource.type == "aws_s3_bucket"
	data.plan.is_true(resource, ["object_lock_enabled"])
}

is_protected(resource) if {
	resource.type == "aws_s3_bucket"
	name := data.plan.text(resource, ["bucket"])
	some word in ["evidence", "trail", "audit"]
	word in split(name, "-")
}
