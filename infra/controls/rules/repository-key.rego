# The container that trains and serves is in the repository: its layers at rest are under the same key as the
# weights.
package controls.repository_key

import rego.v1

metadata := {
	"id": "repository-key",
	"title": "Images are encrypted with a key of ours",
	"severity": "medium",
	"nist_800_53": ["SC-12", "SC-13", "SC-28"],
	"cis_aws": [],
	"owasp_ml": ["ML05", "ML06"],
}

deny contains data.plan.violation(repository, msg, remedy) if {
	some repository in data.plan.of("aws_ecr_repository")
	not is_keyed(repository)
	msg := "the repository has no KMS key of ours"
	remedy := "set encryption_configuration { encryption_type = \"KMS\", kms_key = the key's ARN }; it needs a new repository"
}

is_keyed(repository) if {
	data.plan.value(repository, ["encryption_configuration", 0, "encryption_type"]) in ["KMS", "KMS_DSSE"]
	data.plan.has_key(repository, ["encryption_configuration", 0, "kms_key"])
}
