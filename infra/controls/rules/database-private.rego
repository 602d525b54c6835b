# What was tried and measured is in there. Nobody outside the network has a reason to ask for it by address.
package controls.database_private

import rego.v1

metadata := {
	"id": "database-private",
	"title": "Databases have no public address",
	"severity": "critical",
	"nist_800_53": ["AC-4", "SC-7"],
	"cis_aws": ["2.3.3"],
	"owasp_ml": ["ML02", "ML09"],
}

deny contains data.plan.violation(database, msg, remedy) if {
	some database in data.plan.any_of(["aws_db_instance", "aws_rds_cluster_instance"])
	data.plan.is_true(database, ["publicly_accessible"])
	msg := "the database can be given a public address"
	remedy := "set publicly_accessible = false"
}

deny contains data.plan.violation(database, msg, remedy) if {
	some database in data.plan.any_of(["aws_db_instance", "aws_rds_cluster"])
	not data.plan.is_given(database, ["db_subnet_group_name"])
	msg := "the database goes into the account's default network"
	remedy := "set db_subnet_group_name to a group of private subnets"
}
