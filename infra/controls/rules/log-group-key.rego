# Logs name models, requests and people. Without a key, whoever may read CloudWatch may read them.
package controls.log_group_key

import rego.v1

metadata := {
	"id": "log-group-key",
	"title": "Logs are encrypted with a key of ours",
	"severity": "medium",
	"nist_800_53": ["AU-9", "AU-9(3)", "SC-13", "SC-28"],
	"cis_aws": [],
	"owasp_ml": ["ML05"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.of("aws_cloudwatch_log_group")
	not data.plan.has_key(resource, ["kms_key_id"])
	msg := "the log group has no KMS key of ours"
	remedy := "set kms_key_id to the key's ARN"
}
