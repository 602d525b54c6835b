# A key's policy is the last wall: with everybody in it, encryption is decoration, and a signing key signs for
# whoever asks.
package controls.key_policy_public

import rego.v1

metadata := {
	"id": "key-policy-public",
	"title": "Nobody uses a key without being named",
	"severity": "critical",
	"nist_800_53": ["AC-3", "AC-6", "SC-12"],
	"cis_aws": [],
	"owasp_ml": ["ML05", "ML09"],
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.resource_based
	document.type in ["aws_kms_key", "aws_kms_key_policy"]
	some statement in data.iam.allows(document)
	data.iam.is_public(statement)
	not data.iam.is_tied(statement)
	msg := sprintf("statement %s allows everybody", [statement.sid])
	remedy := "name the principals, or tie the statement with kms:CallerAccount and kms:ViaService"
}

deny contains data.plan.violation(grant, msg, remedy) if {
	some grant in data.plan.of("aws_kms_grant")
	data.plan.text(grant, ["grantee_principal"]) == "*"
	msg := "the grant is for everybody"
	remedy := "name the grantee's ARN"
}
