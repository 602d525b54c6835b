# What a job reads is named by version. Without versions, an object that is written over leaves no trace of what a
# model was trained on.
package controls.bucket_versioning

import rego.v1

metadata := {
	"id": "bucket-versioning",
	"title": "Buckets keep former versions",
	"severity": "high",
	"nist_800_53": ["AU-9", "CP-9", "SI-7"],
	"cis_aws": [],
	"owasp_ml": ["ML02", "ML10"],
}

deny contains data.plan.violation(bucket, msg, remedy) if {
	some bucket in data.plan.of("aws_s3_bucket")
	not is_versioned(bucket)
	msg := "versioning is not enabled"
	remedy := "attach an aws_s3_bucket_versioning with status = \"Enabled\""
}

is_versioned(bucket) if {
	some versioning in data.plan.attached(bucket, "aws_s3_bucket_versioning", "bucket")
	data.plan.value(versioning, ["versioning_configuration", 0, "status"]) == "Enabled"
}
