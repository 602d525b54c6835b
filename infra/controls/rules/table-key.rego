# Task tokens are in a table at rest: whoever reads one can answer for a gate.
package controls.table_key

import rego.v1

metadata := {
	"id": "table-key",
	"title": "Tables are encrypted with a key of ours",
	"severity": "high",
	"nist_800_53": ["SC-12", "SC-13", "SC-28"],
	"cis_aws": [],
	"owasp_ml": ["ML09"],
}

deny contains data.plan.violation(table, msg, remedy) if {
	some table in data.plan.of("aws_dynamodb_table")
	not is_keyed(table)
	msg := "the table has no KMS key of ours"
	remedy := "set server_side_encryption { enabled = true, kms_key_arn = the key's ARN }"
}

is_keyed(table) if {
	data.plan.is_true(table, ["server_side_encryption", 0, "enabled"])
	data.plan.has_key(table, ["server_side_encryption", 0, "kms_key_arn"])
}
