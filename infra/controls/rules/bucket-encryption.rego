# Who reads a bucket needs its key too, so that a wrong bucket policy alone gives nothing away. Buckets that S3 or
# a load balancer writes logs into cannot take such a key: they are exceptions, by name.
package controls.bucket_encryption

import rego.v1

metadata := {
	"id": "bucket-encryption",
	"title": "Buckets are encrypted with a key of ours",
	"severity": "high",
	"nist_800_53": ["SC-12", "SC-13", "SC-28"],
	"cis_aws": [],
	"owasp_ml": ["ML05"],
}

deny contains data.plan.violation(bucket, msg, remedy) if {
	some bucket in data.plan.of("aws_s3_bucket")
	count(data.plan.attached(bucket, "aws_s3_bucket_server_side_encryption_configuration", "bucket")) == 0
	msg := "no aws_s3_bucket_server_side_encryption_configuration is attached to the bucket"
	remedy := "attach one with sse_algorithm = \"aws:kms\" and kms_master_key_id; a bucket for access logs is an exception"
}

# At the bucket, so that one exception covers a bucket, however it falls short.
deny contains data.plan.violation(bucket, msg, remedy) if {
	some bucket in data.plan.of("aws_s3_bucket")
	some configuration in data.plan.attached(bucket, "aws_s3_bucket_server_side_encryption_configuration", "bucket")
	not has_key(configuration)
	msg := sprintf("%s names no KMS key", [configuration.address])
	remedy := "set sse_algorithm = \"aws:kms\" and kms_master_key_id; a bucket for access logs is an exception"
}

has_key(configuration) if {
	some i, _ in data.plan.list(data.plan.value(configuration, ["rule"]))
	defaults := ["rule", i, "apply_server_side_encryption_by_default", 0]
	data.plan.value(configuration, array.concat(defaults, ["sse_algorithm"])) in ["aws:kms", "aws:kms:dsse"]
	data.plan.has_key(configuration, array.concat(defaults, ["kms_master_key_id"]))
}
