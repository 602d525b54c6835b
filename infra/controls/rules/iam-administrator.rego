# AWS-managed policies of this width change without a plan and cannot be compared with what is called.
package controls.iam_administrator

import rego.v1

metadata := {
	"id": "iam-administrator",
	"title": "Nobody is given everything by a policy of AWS",
	"severity": "critical",
	"nist_800_53": ["AC-2", "AC-5", "AC-6", "AC-6(5)"],
	"cis_aws": ["1.16", "1.22"],
	"owasp_ml": ["ML06"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.resources
	some attribute in ["policy_arn", "managed_policy_arns", "managed_policy_arn"]
	some arn in data.plan.list(data.plan.value(resource, [attribute]))
	some name in [
		"AdministratorAccess", "PowerUserAccess", "IAMFullAccess", "AmazonSageMakerFullAccess", "AmazonS3FullAccess",
		"AWSLambda_FullAccess", "AWSCloudShellFullAccess", "AmazonEC2ContainerRegistryFullAccess",
	]
	endswith(arn, sprintf("policy/%s", [name]))
	msg := sprintf("%s is attached", [name])
	remedy := "write a policy with the actions that are called"
}
