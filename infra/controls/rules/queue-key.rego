# A dead-letter queue holds the events that failed, and events can hold task tokens: whoever reads one can answer
# for a gate.
package controls.queue_key

import rego.v1

metadata := {
	"id": "queue-key",
	"title": "Queues are encrypted with a key of ours",
	"severity": "high",
	"nist_800_53": ["SC-12", "SC-13", "SC-28"],
	"cis_aws": [],
	"owasp_ml": ["ML09"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.of("aws_sqs_queue")
	not data.plan.has_key(resource, ["kms_master_key_id"])
	msg := "the queue has no KMS key of ours"
	remedy := "set kms_master_key_id to the key's ARN"
}
