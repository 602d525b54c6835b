# Policy documents: where they are in a plan, and what their statements say.
package iam

import rego.v1

# Where each type keeps what it allows.
identity_attributes := {
	"aws_iam_policy": "policy",
	"aws_iam_role_policy": "policy",
	"aws_iam_user_policy": "policy",
	"aws_iam_group_policy": "policy",
	"aws_ssoadmin_permission_set_inline_policy": "inline_policy",
}

resource_attributes := {
	"aws_s3_bucket": "policy",
	"aws_s3_bucket_policy": "policy",
	"aws_kms_key": "policy",
	"aws_kms_key_policy": "policy",
	"aws_sns_topic": "policy",
	"aws_sns_topic_policy": "policy",
	"aws_sqs_queue": "policy",
	"aws_sqs_queue_policy": "policy",
	"aws_secretsmanager_secret": "policy",
	"aws_secretsmanager_secret_policy": "policy",
	"aws_ecr_repository_policy": "policy",
	"aws_ecr_registry_policy": "policy",
	"aws_cloudwatch_event_bus_policy": "policy",
	"aws_cloudwatch_log_resource_policy": "policy_document",
	"aws_dynamodb_resource_policy": "policy",
	"aws_vpc_endpoint": "policy",
	"aws_vpc_endpoint_policy": "policy",
	"aws_sagemaker_model_package_group_policy": "resource_policy",
}

trust_attributes := {"aws_iam_role": "assume_role_policy"}

attributes(resource) := [attribute |
	some places in [identity_attributes, resource_attributes, trust_attributes]
	attribute := places[resource.type]
]

identity_documents := [document |
	some resource in data.plan.resources
	not is_boundary(resource)
	attribute := identity_attributes[resource.type]
	document := read(resource, resource.values[attribute])
]

# A boundary bounds what others grant, and grants nothing itself, so it may be wide. The name alone says little:
# nothing may attach it.
is_boundary(resource) if {
	resource.type == "aws_iam_policy"
	endswith(resource.name, "boundary")
	not is_granted(resource)
}

is_granted(policy) if {
	some attachment in data.plan.resources
	some attribute in ["policy_arn", "managed_policy_arns"]
	some arn in data.plan.list(data.plan.value(attachment, [attribute]))
	name := data.plan.text(policy, ["name"])
	name != ""
	endswith(arn, sprintf("/%s", [name]))
}

is_granted(policy) if {
	some attachment in data.plan.resources
	some attribute in ["policy_arn", "managed_policy_arns"]
	data.plan.is_unknown(attachment, [attribute])
	policy.address in object.get(data.configured, [attachment.address, attribute, "refers_to"], [])
}

inline_documents := [document |
	some resource in data.plan.of("aws_iam_role")
	some inline in data.plan.list(data.plan.value(resource, ["inline_policy"]))
	document := read(resource, inline.policy)
]

# What says what a principal may do.
identity := array.concat(identity_documents, inline_documents)

# What says who may do it to a resource.
resource_based := [document |
	some resource in data.plan.resources
	attribute := resource_attributes[resource.type]
	document := read(resource, resource.values[attribute])
]

trust := [document |
	some resource in data.plan.of("aws_iam_role")
	document := read(resource, resource.values.assume_role_policy)
]

# Text that is no JSON ends the evaluation: what cannot be read does not pass.
read(resource, text) := {"address": resource.address, "type": resource.type, "statements": statements(text)} if {
	is_string(text)
	text != ""
}

statements(text) := [normal |
	some statement in data.plan.list(json.unmarshal(text).Statement)
	normal := {
		"sid": object.get(statement, "Sid", "without a Sid"),
		"effect": statement.Effect,
		"actions": data.plan.list(object.get(statement, "Action", null)),
		"not_actions": data.plan.list(object.get(statement, "NotAction", null)),
		"resources": data.plan.list(object.get(statement, "Resource", null)),
		"not_resources": data.plan.list(object.get(statement, "NotResource", null)),
		"principals": principals(object.get(statement, "Principal", null)),
		"has_not_principal": object.get(statement, "NotPrincipal", null) != null,
		"conditions": conditions(object.get(statement, "Condition", {})),
	}
]

allows(document) := [statement | some statement in document.statements; statement.effect == "Allow"]

denies(document) := [statement | some statement in document.statements; statement.effect == "Deny"]

principals(principal) := [] if is_null(principal)

principals(principal) := [principal] if is_string(principal)

principals(principal) := names if {
	is_object(principal)
	names := [name |
		some entry in principal
		some name in data.plan.list(entry)
	]
}

# One entry for each operator and key; IAM reads keys without regard to case.
conditions(block) := [condition |
	some operator, keys in block
	some key, values in keys
	condition := {"operator": operator, "key": lower(key), "values": data.plan.list(values)}
]

is_public(statement) if "*" in statement.principals

is_public(statement) if statement.has_not_principal

# Conditions that tie a statement to principals, accounts or resources that one names, and not to anything that
# whoever calls can choose. A wildcard in the account's place names nobody.
tying_keys := {
	"aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths",
	"aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourcevpc", "aws:sourcevpce",
	"kms:calleraccount", "s3:dataaccesspointaccount", "sns:endpoint",
}

is_tied(statement) if {
	some condition in statement.conditions
	condition.key in tying_keys
	condition.operator in {
		"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike",
		"ForAnyValue:StringEquals", "ForAnyValue:StringLike",
	}
	count(condition.values) > 0
	every value in condition.values {
		names_somebody(value)
	}
}

names_somebody(value) if {
	is_string(value)
	not startswith(value, "*")
	not startswith(value, "arn:*")
	not is_anonymous_arn(value)
}

# arn:partition:service:region:*:...
is_anonymous_arn(value) if {
	parts := split(value, ":")
	count(parts) > 5
	parts[0] == "arn"
	parts[4] == "*"
}

may(statement, action) if {
	some granted in statement.actions
	matches(lower(granted), lower(action))
}

may(statement, action) if {
	count(statement.not_actions) > 0
	every excluded in statement.not_actions {
		not matches(lower(excluded), lower(action))
	}
}

# IAM's `*` at the end of an action, the one place where it is of use; one elsewhere counts as matching, so that a
# pattern is never taken for narrower than it is.
matches(pattern, action) if pattern == action

matches(pattern, action) if {
	contains(pattern, "*")
	startswith(action, split(pattern, "*")[0])
}

matches(pattern, action) if {
	contains(pattern, "?")
	startswith(action, split(pattern, "?")[0])
}
