# The account's concurrency is one pool. A flood of events in one function would keep the sweep, and so every
# heartbeat, from running.
package controls.function_concurrency

import rego.v1

metadata := {
	"id": "function-concurrency",
	"title": "No function can take the account from the others",
	"severity": "low",
	"nist_800_53": ["SC-5", "SC-6"],
	"cis_aws": [],
	"owasp_ml": ["ML01"],
}

deny contains data.plan.violation(function, msg, remedy) if {
	some function in data.plan.of("aws_lambda_function")
	not is_bounded(data.plan.value(function, ["reserved_concurrent_executions"]))
	msg := "the function has no reserved concurrency"
	remedy := "set reserved_concurrent_executions to what a busy day needs"
}

is_bounded(executions) if {
	is_number(executions)
	executions >= 0
}
