# Under the account's default key, every principal of the account that may read secrets can decrypt them.
package controls.secret_key

import rego.v1

metadata := {
	"id": "secret-key",
	"title": "Secrets are encrypted with a key of ours",
	"severity": "high",
	"nist_800_53": ["SC-12", "SC-13", "SC-28"],
	"cis_aws": [],
	"owasp_ml": ["ML05", "ML06"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.of("aws_secretsmanager_secret")
	not data.plan.has_key(resource, ["kms_key_id"])
	msg := "the secret has no KMS key of ours"
	remedy := "set kms_key_id to the key's ARN"
}
