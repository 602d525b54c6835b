# Step Functions keeps a run's history for ninety days; logs that end sooner leave runs that nobody can explain.
# Logs that never end are a cost and a duty to protect for ever.
package controls.log_retention

import rego.v1

metadata := {
	"id": "log-retention",
	"title": "Logs are kept for ninety days or more",
	"severity": "medium",
	"nist_800_53": ["AU-4", "AU-11"],
	"cis_aws": [],
	"owasp_ml": ["ML09"],
}

deny contains data.plan.violation(group, msg, remedy) if {
	some group in data.plan.of("aws_cloudwatch_log_group")
	days := object.get(group.values, "retention_in_days", 0)
	falls_short(days)
	msg := sprintf("logs are kept for %v days (0: for ever)", [days])
	remedy := "set retention_in_days to 90 or more"
}

falls_short(days) if not is_number(days)

falls_short(days) if {
	is_number(days)
	days < 90
}
