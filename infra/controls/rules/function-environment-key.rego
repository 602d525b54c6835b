# A function's environment says which policy and which trust root it believes.
package controls.function_environment_key

import rego.v1

metadata := {
	"id": "function-environment-key",
	"title": "The environment of functions is encrypted with a key of ours",
	"severity": "medium",
	"nist_800_53": ["SC-12", "SC-13", "SC-28"],
	"cis_aws": [],
	"owasp_ml": ["ML06"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.of("aws_lambda_function")
	not data.plan.has_key(resource, ["kms_key_arn"])
	msg := "the function has no KMS key of ours"
	remedy := "set kms_key_arn to the key's ARN"
}
