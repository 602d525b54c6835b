# A public queue or function starts runs for strangers; a public repository gives the container away, or takes
# another one in.
package controls.resource_policy_public

import rego.v1

metadata := {
	"id": "resource-policy-public",
	"title": "Topics, queues, functions, secrets and repositories are not open to everybody",
	"severity": "critical",
	"nist_800_53": ["AC-3", "AC-4", "AC-6"],
	"cis_aws": [],
	"owasp_ml": ["ML02", "ML05", "ML06"],
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.resource_based
	not document.type in elsewhere
	some statement in data.iam.allows(document)
	data.iam.is_public(statement)
	not data.iam.is_tied(statement)
	msg := sprintf("statement %s allows everybody", [statement.sid])
	remedy := "name the principals, or tie the statement to an account or resource (aws:SourceAccount, aws:SourceArn, aws:PrincipalOrgID)"
}

deny contains data.plan.violation(permission, msg, remedy) if {
	some permission in data.plan.of("aws_lambda_permission")
	data.plan.value(permission, ["principal"]) == "*"
	not data.plan.is_given(permission, ["principal_org_id"])
	msg := "everybody may invoke the function"
	remedy := "name the service, and source_arn"
}

deny contains data.plan.violation(permission, msg, remedy) if {
	some permission in data.plan.of("aws_lambda_permission")
	endswith(data.plan.text(permission, ["principal"]), ".amazonaws.com")
	not data.plan.is_given(permission, ["source_arn"])
	not data.plan.is_given(permission, ["source_account"])
	msg := "the service may invoke the function for any account"
	remedy := "set source_arn to what sends the event"
}

deny contains data.plan.violation(address, msg, remedy) if {
	some address in data.plan.of("aws_lambda_function_url")
	data.plan.value(address, ["authorization_type"]) != "AWS_IAM"
	msg := "the function's address asks for no credentials"
	remedy := "set authorization_type = \"AWS_IAM\", or leave the address out"
}

# These have controls of their own. An endpoint's policy bounds what goes through it, and grants nothing by itself.
elsewhere := {"aws_s3_bucket", "aws_s3_bucket_policy", "aws_kms_key", "aws_kms_key_policy", "aws_vpc_endpoint", "aws_vpc_endpoint_policy"}
