# A password that Terraform knows is in its state, and nobody rotates it.
package controls.database_managed_password

import rego.v1

metadata := {
	"id": "database-managed-password",
	"title": "AWS makes and rotates the password of a database",
	"severity": "high",
	"nist_800_53": ["IA-5", "IA-5(1)", "SC-12"],
	"cis_aws": [],
	"owasp_ml": ["ML05"],
}

deny contains data.plan.violation(database, msg, remedy) if {
	some database in data.plan.any_of(["aws_db_instance", "aws_rds_cluster"])
	not data.plan.is_given(database, ["replicate_source_db"])
	not data.plan.is_true(database, ["manage_master_user_password"])
	msg := "the master user's password is not managed by AWS"
	remedy := "set manage_master_user_password = true and master_user_secret_kms_key_id"
}
