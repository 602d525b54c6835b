# Weights and training data are unpacked onto volumes. A snapshot of one that is not encrypted can be shared with
# anybody.
package controls.volume_key

import rego.v1

metadata := {
	"id": "volume-key",
	"title": "Volumes and file systems are encrypted with a key of ours",
	"severity": "high",
	"nist_800_53": ["SC-12", "SC-13", "SC-28"],
	"cis_aws": ["2.2.1", "2.4.1"],
	"owasp_ml": ["ML05"],
}

deny contains data.plan.violation(volume, msg, remedy) if {
	some volume in data.plan.any_of(["aws_ebs_volume", "aws_efs_file_system"])
	not is_keyed(volume, [])
	msg := sprintf("%s is not encrypted with a key of ours", [volume.type])
	remedy := "set encrypted = true and kms_key_id"
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.any_of(["aws_instance", "aws_launch_template"])
	some path in disks(resource)
	not is_keyed(resource, path)
	msg := sprintf("the disk %s is not encrypted with a key of ours", [path[0]])
	remedy := "set encrypted = true and kms_key_id for the disk"
}

deny contains data.plan.violation(endpoint, msg, remedy) if {
	some endpoint in data.plan.any_of(["aws_sagemaker_endpoint_configuration", "aws_sagemaker_notebook_instance"])
	attribute := {"aws_sagemaker_endpoint_configuration": "kms_key_arn", "aws_sagemaker_notebook_instance": "kms_key_id"}[endpoint.type]
	not data.plan.has_key(endpoint, [attribute])
	msg := "its volumes have no KMS key of ours"
	remedy := sprintf("set %s", [attribute])
}

disks(resource) := paths if {
	resource.type == "aws_instance"
	paths := [[kind, i] |
		some kind in ["root_block_device", "ebs_block_device"]
		some i, _ in data.plan.list(data.plan.value(resource, [kind]))
	]
}

disks(resource) := paths if {
	resource.type == "aws_launch_template"
	paths := [["block_device_mappings", i, "ebs", 0] |
		some i, _ in data.plan.list(data.plan.value(resource, ["block_device_mappings"]))
	]
}

is_keyed(resource, path) if {
	sprintf("%v", [data.plan.value(resource, array.concat(path, ["encrypted"]))]) == "true"
	data.plan.has_key(resource, array.concat(path, ["kms_key_id"]))
}
