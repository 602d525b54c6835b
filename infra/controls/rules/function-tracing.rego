# A run crosses a dozen functions: without traces, which call of which one was slow or refused is guesswork.
package controls.function_tracing

import rego.v1

metadata := {
	"id": "function-tracing",
	"title": "Functions are traced",
	"severity": "low",
	"nist_800_53": ["AU-2", "AU-12", "SI-4"],
	"cis_aws": [],
	"owasp_ml": ["ML09"],
}

deny contains data.plan.violation(function, msg, remedy) if {
	some function in data.plan.of("aws_lambda_function")
	data.plan.value(function, ["tracing_config", 0, "mode"]) != "Active"
	msg := "the function is not traced"
	remedy := "set tracing_config { mode = \"Active\" }"
}
