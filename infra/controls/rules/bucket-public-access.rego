# Weights, training data and evidence are all objects: a bucket that anybody can read is model theft, one that
# anybody can write is a poisoned model.
package controls.bucket_public_access

import rego.v1

metadata := {
	"id": "bucket-public-access",
	"title": "No bucket can be made public",
	"severity": "critical",
	"nist_800_53": ["AC-3", "AC-4", "AC-6", "SC-7"],
	"cis_aws": ["2.1.4"],
	"owasp_ml": ["ML02", "ML05", "ML10"],
}

deny contains data.plan.violation(bucket, msg, remedy) if {
	some bucket in data.plan.of("aws_s3_bucket")
	count(data.plan.attached(bucket, "aws_s3_bucket_public_access_block", "bucket")) == 0
	msg := "no aws_s3_bucket_public_access_block is attached to the bucket"
	remedy := "attach one, with all four settings true"
}

deny contains data.plan.violation(block, msg, remedy) if {
	some block in data.plan.any_of(["aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block"])
	some setting in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]
	not data.plan.is_true(block, [setting])
	msg := sprintf("%s is not true", [setting])
	remedy := sprintf("set %s = true", [setting])
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.any_of(["aws_s3_bucket", "aws_s3_bucket_acl", "aws_s3_object"])
	acl := data.plan.value(resource, ["acl"])
	acl in ["public-read", "public-read-write", "website", "authenticated-read", "aws-exec-read"]
	msg := sprintf("the ACL is %s", [acl])
	remedy := "leave the ACL out; let the bucket's policy name who may read"
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.of("aws_s3_bucket_acl")
	some policy in data.plan.list(data.plan.value(resource, ["access_control_policy"]))
	some grant in data.plan.list(policy.grant)
	some grantee in data.plan.list(grant.grantee)
	uri := object.get(grantee, "uri", "")
	is_string(uri)
	some group in ["AllUsers", "AuthenticatedUsers"]
	endswith(uri, group)
	msg := sprintf("the ACL grants to %s", [group])
	remedy := "leave the ACL out; let the bucket's policy name who may read"
}

deny contains data.plan.violation(document, msg, remedy) if {
	some document in data.iam.resource_based
	document.type in ["aws_s3_bucket", "aws_s3_bucket_policy"]
	some statement in data.iam.allows(document)
	data.iam.is_public(statement)
	not data.iam.is_tied(statement)
	msg := sprintf("statement %s allows everybody", [statement.sid])
	remedy := "name the principals, or tie the statement to an account with aws:PrincipalAccount or aws:PrincipalOrgID"
}
