# A value in a plan is in the state, in the artefact that a workflow keeps of the plan, and in whatever prints
# either. Values go in by hand, by rotation, or by write-only arguments.
package controls.secret_in_plan

import rego.v1

metadata := {
	"id": "secret-in-plan",
	"title": "No secret value passes through Terraform",
	"severity": "critical",
	"nist_800_53": ["IA-5", "IA-5(7)", "SC-12", "SC-28"],
	"cis_aws": [],
	"owasp_ml": ["ML05", "ML06"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.resources
	some attribute in secret_attributes[resource.type]
	data.plan.is_given(resource, [attribute])
	msg := sprintf("%s is in the plan, and so in the state", [attribute])
	remedy := "leave the value to rotation or to a write-only argument (secret_string_wo, password_wo, value_wo), or let AWS manage it"
}

deny contains data.plan.violation(parameter, msg, remedy) if {
	some parameter in data.plan.of("aws_ssm_parameter")
	data.plan.value(parameter, ["type"]) == "SecureString"
	data.plan.is_given(parameter, ["value"])
	msg := "the parameter's value is in the plan, and so in the state"
	remedy := "use value_wo, or a secret of Secrets Manager without a version"
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.any_of(["random_password", "tls_private_key"])
	msg := "what it makes is in the state"
	remedy := "make it as an ephemeral resource, and hand it to a write-only argument"
}

deny contains {"address": sprintf("var.%s", [name]), "msg": msg, "remedy": remedy} if {
	some name, variable in input.variables
	some leaf in leaves(variable)
	looks_secret(leaf.text)
	msg := "the variable's value looks like a credential"
	remedy := "put it into Secrets Manager, and pass the secret's ARN"
}

# The value itself is left out of the message: messages are printed and posted.
deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.resources
	some leaf in leaves(resource.values)
	looks_secret(leaf.text)
	msg := sprintf("%s looks like a credential", [leaf.path])
	remedy := "put it into Secrets Manager, and pass the secret's ARN"
}

deny contains data.plan.violation(function, msg, remedy) if {
	some function in data.plan.of("aws_lambda_function")
	variables := data.plan.value(function, ["environment", 0, "variables"])
	is_object(variables)
	some name, setting in variables
	is_string(setting)
	setting != ""
	some word in ["PASSWORD", "PASSWD", "API_KEY", "APIKEY", "ACCESS_TOKEN", "AUTH_TOKEN", "PRIVATE_KEY", "SECRET_ACCESS_KEY"]
	contains(upper(name), word)
	not startswith(setting, "arn:")
	msg := sprintf("the environment holds %s", [name])
	remedy := "put it into Secrets Manager, and pass the secret's ARN"
}

secret_attributes := {
	"aws_secretsmanager_secret_version": ["secret_string", "secret_binary"],
	"aws_db_instance": ["password"],
	"aws_rds_cluster": ["master_password"],
	"aws_redshift_cluster": ["master_password"],
	"aws_elasticache_replication_group": ["auth_token"],
	"aws_mq_broker": ["password"],
}

leaves(values) := [leaf |
	walk(values, [path, text])
	is_string(text)
	leaf := {"path": dotted(path), "text": text}
]

dotted(path) := concat(".", [part |
	some key in path
	part := sprintf("%v", [key])
])

looks_secret(text) if {
	some prefix in ["AKIA", "ASIA"]
	startswith(text, prefix)
	count(text) == 20
	upper(text) == text
	not contains(text, " ")
}

looks_secret(text) if {
	some prefix in ["ghp_", "gho_", "ghs_", "github_pat_", "hf_", "xoxb-", "xoxp-"]
	startswith(text, prefix)
	count(text) > 30
	not contains(text, " ")
}

looks_secret(text) if {
	contains(text, "-----BEGIN ")
	contains(text, "PRIVATE KEY-----")
}
