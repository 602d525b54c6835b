# Claims, waits and leases are what keeps two runs from one endpoint; a table that is written over by mistake is
# set back, not rebuilt.
package controls.table_recovery

import rego.v1

metadata := {
	"id": "table-recovery",
	"title": "Tables can be set back to any second",
	"severity": "medium",
	"nist_800_53": ["CP-9", "CP-10"],
	"cis_aws": [],
	"owasp_ml": ["ML09"],
}

deny contains data.plan.violation(table, msg, remedy) if {
	some table in data.plan.of("aws_dynamodb_table")
	not data.plan.is_true(table, ["point_in_time_recovery", 0, "enabled"])
	msg := "the table has no point-in-time recovery"
	remedy := "set point_in_time_recovery { enabled = true }"
}
