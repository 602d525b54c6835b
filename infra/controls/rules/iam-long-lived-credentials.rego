# People come through federation, workflows through OIDC, services through roles. A key that never expires is
# found by somebody in the end.
package controls.iam_long_lived_credentials

import rego.v1

metadata := {
	"id": "iam-long-lived-credentials",
	"title": "No users and no access keys",
	"severity": "high",
	"nist_800_53": ["AC-2", "IA-2", "IA-5", "IA-5(1)"],
	"cis_aws": ["1.14", "1.15"],
	"owasp_ml": ["ML05", "ML06"],
}

deny contains data.plan.violation(resource, msg, remedy) if {
	some resource in data.plan.any_of([
		"aws_iam_user", "aws_iam_access_key", "aws_iam_user_login_profile", "aws_iam_user_policy",
		"aws_iam_user_policy_attachment", "aws_iam_service_specific_credential",
	])
	msg := sprintf("%s makes a credential that does not expire by itself", [resource.type])
	remedy := "make a role, with a trust policy that names who assumes it"
}
