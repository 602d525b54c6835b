# A model's container runs what somebody else wrote. Isolated, it can answer and nothing else.
package controls.endpoint_isolation

import rego.v1

metadata := {
	"id": "endpoint-isolation",
	"title": "Containers of models can make no call",
	"severity": "critical",
	"nist_800_53": ["AC-4", "SC-7", "SC-39"],
	"cis_aws": [],
	"owasp_ml": ["ML03", "ML05", "ML06"],
}

deny contains data.plan.violation(model, msg, remedy) if {
	some model in data.plan.of("aws_sagemaker_model")
	not data.plan.is_true(model, ["enable_network_isolation"])
	msg := "the model's container has a network"
	remedy := "set enable_network_isolation = true"
}

deny contains data.plan.violation(model, msg, remedy) if {
	some model in data.plan.of("aws_sagemaker_model")
	not data.plan.is_given(model, ["vpc_config", 0, "subnets"])
	msg := "the model runs outside the network"
	remedy := "set vpc_config { subnets, security_group_ids }"
}

deny contains data.plan.violation(notebook, msg, remedy) if {
	some notebook in data.plan.of("aws_sagemaker_notebook_instance")
	data.plan.value(notebook, ["direct_internet_access"]) != "Disabled"
	msg := "the notebook has its own way to the internet"
	remedy := "set direct_internet_access = \"Disabled\", subnet_id and security_groups"
}

deny contains data.plan.violation(domain, msg, remedy) if {
	some domain in data.plan.of("aws_sagemaker_domain")
	data.plan.value(domain, ["app_network_access_type"]) != "VpcOnly"
	msg := "the domain's applications have their own way to the internet"
	remedy := "set app_network_access_type = \"VpcOnly\""
}
