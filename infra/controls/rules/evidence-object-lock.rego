# Who can delete what a gate signed can undo the gate. The bucket for evidence is the one whose key or name says
# so.
package controls.evidence_object_lock

import rego.v1

metadata := {
	"id": "evidence-object-lock",
	"title": "Evidence cannot be deleted or written over",
	"severity": "critical",
	"nist_800_53": ["AU-9", "AU-10", "AU-11", "SI-7"],
	"cis_aws": [],
	"owasp_ml": ["ML06", "ML09", "ML10"],
}

deny contains data.plan.violation(bucket, msg, remedy) if {
	some bucket in evidence_buckets
	not data.plan.is_true(bucket, ["object_lock_enabled"])
	msg := "the bucket for evidence has no Object Lock"
	remedy := "set object_lock_enabled = true; it needs a new bucket"
}

deny contains data.plan.violation(bucket, msg, remedy) if {
	some bucket in evidence_buckets
	not keeps_by_default(bucket)
	msg := "what is written to the bucket for evidence is not retained by default"
	remedy := "attach an aws_s3_bucket_object_lock_configuration with a default_retention of a mode and of days or years"
}

evidence_buckets := [bucket |
	some bucket in data.plan.of("aws_s3_bucket")
	says_evidence(bucket)
]

says_evidence(bucket) if bucket.index == "evidence"

says_evidence(bucket) if bucket.name == "evidence"

says_evidence(bucket) if {
	some part in ["bucket", "bucket_prefix"]
	name := object.get(bucket.values, part, null)
	is_string(name)
	"evidence" in split(name, "-")
}

keeps_by_default(bucket) if {
	some lock in data.plan.attached(bucket, "aws_s3_bucket_object_lock_configuration", "bucket")
	retention := data.plan.value(lock, ["rule", 0, "default_retention", 0])
	retention.mode in ["GOVERNANCE", "COMPLIANCE"]
	some unit in ["days", "years"]
	length := object.get(retention, unit, null)
	is_number(length)
	length > 0
}
