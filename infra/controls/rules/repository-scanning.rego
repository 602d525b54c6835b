# The scan gate refuses an image without findings that it can read, so one that is never scanned stops every run;
# found out at push is sooner.
package controls.repository_scanning

import rego.v1

metadata := {
	"id": "repository-scanning",
	"title": "Images are scanned when they are pushed",
	"severity": "high",
	"nist_800_53": ["RA-5", "SI-2", "SR-11"],
	"cis_aws": [],
	"owasp_ml": ["ML06"],
}

deny contains data.plan.violation(repository, msg, remedy) if {
	some repository in data.plan.of("aws_ecr_repository")
	not data.plan.is_true(repository, ["image_scanning_configuration", 0, "scan_on_push"])
	not registry_scans
	msg := "images are not scanned on push"
	remedy := "set image_scanning_configuration { scan_on_push = true }, or scan the registry with an aws_ecr_registry_scanning_configuration of type ENHANCED"
}

# A filter could leave a repository out, so only the one that takes all of them counts.
registry_scans if {
	some registry in data.plan.of("aws_ecr_registry_scanning_configuration")
	some rule in data.plan.list(data.plan.value(registry, ["rule"]))
	rule.scan_frequency in ["SCAN_ON_PUSH", "CONTINUOUS_SCAN"]
	some filter in data.plan.list(rule.repository_filter)
	filter.filter == "*"
}
