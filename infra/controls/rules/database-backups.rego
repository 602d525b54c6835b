# A week is what it takes to notice that a run's record is wrong.
package controls.database_backups

import rego.v1

metadata := {
	"id": "database-backups",
	"title": "Databases are backed up, and not deleted in passing",
	"severity": "medium",
	"nist_800_53": ["CP-9", "CP-10"],
	"cis_aws": [],
	"owasp_ml": ["ML09"],
}

deny contains data.plan.violation(database, msg, remedy) if {
	some database in data.plan.any_of(["aws_db_instance", "aws_rds_cluster"])
	days := data.plan.value(database, ["backup_retention_period"])
	not is_enough(days)
	msg := sprintf("backups are kept for %v days", [days])
	remedy := "set backup_retention_period to 7 or more"
}

deny contains data.plan.violation(database, msg, remedy) if {
	some database in data.plan.any_of(["aws_db_instance", "aws_rds_cluster"])
	not data.plan.is_true(database, ["deletion_protection"])
	msg := "the database can be deleted by one call"
	remedy := "set deletion_protection = true"
}

is_enough(days) if {
	is_number(days)
	days >= 7
}
