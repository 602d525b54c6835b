# Encryption of a database cannot be turned on later, and its snapshots inherit it.
package controls.database_encryption

import rego.v1

metadata := {
	"id": "database-encryption",
	"title": "Databases are encrypted with a key of ours",
	"severity": "high",
	"nist_800_53": ["SC-12", "SC-13", "SC-28"],
	"cis_aws": ["2.3.1"],
	"owasp_ml": ["ML05", "ML09"],
}

deny contains data.plan.violation(database, msg, remedy) if {
	some database in data.plan.any_of(["aws_db_instance", "aws_rds_cluster"])
	not is_keyed(database)
	msg := "the database is not encrypted with a key of ours"
	remedy := "set storage_encrypted = true and kms_key_id; it needs a new database"
}

is_keyed(database) if {
	data.plan.is_true(database, ["storage_encrypted"])
	data.plan.has_key(database, ["kms_key_id"])
}
