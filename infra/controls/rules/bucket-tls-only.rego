# S3 answers plain http unless a policy forbids it. A Deny that leaves out an action, the objects or the bucket
# itself leaves that open.
package controls.bucket_tls_only

import rego.v1

metadata := {
	"id": "bucket-tls-only",
	"title": "Buckets refuse what does not come over TLS",
	"severity": "high",
	"nist_800_53": ["SC-8", "SC-8(1)", "SC-23"],
	"cis_aws": ["2.1.1"],
	"owasp_ml": ["ML02", "ML05"],
}

deny contains data.plan.violation(bucket, msg, remedy) if {
	some bucket in data.plan.of("aws_s3_bucket")
	policies := data.plan.attached(bucket, "aws_s3_bucket_policy", "bucket")
	not waits_for_its_policy(policies)
	not is_tls_only(policies)
	msg := "no statement denies everybody s3:* where aws:SecureTransport is false, on the bucket and on its objects"
	remedy := "add {Effect: Deny, Principal: \"*\", Action: \"s3:*\", Resource: [bucket, bucket/*], Condition: {Bool: {\"aws:SecureTransport\": \"false\"}}}"
}

# `unknown-document` answers for these.
waits_for_its_policy(policies) if {
	some policy in policies
	data.plan.is_unknown(policy, ["policy"])
}

is_tls_only(policies) if {
	some policy in policies
	some statement in data.iam.denies(data.iam.read(policy, policy.values.policy))
	data.iam.is_public(statement)
	"s3:*" in statement.actions
	covers_objects(statement)
	covers_the_bucket(statement)
	count(statement.conditions) == 1
	statement.conditions[0].operator == "Bool"
	statement.conditions[0].key == "aws:securetransport"
	"false" in {sprintf("%v", [value]) | some value in statement.conditions[0].values}
}

covers_objects(statement) if {
	some resource in statement.resources
	endswith(resource, "/*")
}

covers_objects(statement) if "*" in statement.resources

covers_the_bucket(statement) if {
	some resource in statement.resources
	not contains(resource, "/")
}
