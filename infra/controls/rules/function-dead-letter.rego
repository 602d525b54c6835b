# Events and sweeps call functions asynchronously: after the last retry, an event without a dead-letter queue is
# gone, and its run waits.
package controls.function_dead_letter

import rego.v1

metadata := {
	"id": "function-dead-letter",
	"title": "No event that a function failed on is lost",
	"severity": "medium",
	"nist_800_53": ["AU-5", "SI-11"],
	"cis_aws": [],
	"owasp_ml": ["ML09"],
}

deny contains data.plan.violation(function, msg, remedy) if {
	some function in data.plan.of("aws_lambda_function")
	not data.plan.is_given(function, ["dead_letter_config", 0, "target_arn"])
	not sends_failures_elsewhere(function)
	msg := "what the function fails on goes nowhere"
	remedy := "set dead_letter_config { target_arn }, or an aws_lambda_function_event_invoke_config with a destination for failures"
}

sends_failures_elsewhere(function) if {
	some config in data.plan.attached(function, "aws_lambda_function_event_invoke_config", "function_name")
	data.plan.is_given(config, ["destination_config", 0, "on_failure", 0, "destination"])
}
