# KMS rotates symmetric encryption keys alone. Signing and HMAC keys are replaced by hand: see the trust root.
package controls.key_rotation

import rego.v1

metadata := {
	"id": "key-rotation",
	"title": "Keys that can rotate do",
	"severity": "high",
	"nist_800_53": ["SC-12", "SC-12(1)", "SC-12(2)"],
	"cis_aws": ["3.6"],
	"owasp_ml": ["ML05"],
}

deny contains data.plan.violation(key, msg, remedy) if {
	some key in data.plan.any_of(["aws_kms_key", "aws_kms_external_key"])
	is_symmetric(key)
	not data.plan.is_true(key, ["enable_key_rotation"])
	msg := "a symmetric key without rotation"
	remedy := "set enable_key_rotation = true"
}

is_symmetric(key) if {
	object.get(key.values, "key_usage", "ENCRYPT_DECRYPT") in ["ENCRYPT_DECRYPT", null]
	object.get(key.values, "customer_master_key_spec", "SYMMETRIC_DEFAULT") in ["SYMMETRIC_DEFAULT", null]
}
