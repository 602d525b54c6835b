# What an approver is told to approve goes through a topic. The AWS-managed key cannot be used by EventBridge or
# alarms, so a topic without one of ours is open at rest or mute.
package controls.topic_key

import rego.v1

metadata := {
	"id": "topic-key",
	"title": "Topics are encrypted with a key of ours",
	"severity": "medium",
	"nist_800_53": ["SC-12", "SC-13", "SC-28"],
	"cis_aws": [],
	"owasp_ml": ["ML09"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.of("aws_sns_topic")
	not data.plan.has_key(resource, ["kms_master_key_id"])
	msg := "the topic has no KMS key of ours"
	remedy := "set kms_master_key_id to the key's ARN"
}
