# A function outside the network can call any address. The one that fetches from the Hub must, and is an exception
# by name.
package controls.function_network

import rego.v1

metadata := {
	"id": "function-network",
	"title": "Functions run inside the network",
	"severity": "high",
	"nist_800_53": ["AC-4", "SC-7", "SC-7(5)"],
	"cis_aws": [],
	"owasp_ml": ["ML05", "ML06"],
}

deny contains data.plan.violation(function, msg, remedy) if {
	some function in data.plan.of("aws_lambda_function")
	not is_inside(function)
	msg := "the function runs outside the network"
	remedy := "set vpc_config { subnet_ids, security_group_ids }; what must reach the Hub is an exception"
}

is_inside(function) if {
	data.plan.is_given(function, ["vpc_config", 0, "subnet_ids"])
	data.plan.is_given(function, ["vpc_config", 0, "security_group_ids"])
}
