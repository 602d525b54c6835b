# A log that can be edited proves nothing. Validation gives each file a signed digest; every region, because
# somebody who hides picks another.
package controls.trail_validation

import rego.v1

metadata := {
	"id": "trail-validation",
	"title": "Trails are whole, and can be shown to be",
	"severity": "high",
	"nist_800_53": ["AU-2", "AU-9", "AU-10", "AU-12", "SI-7"],
	"cis_aws": ["3.1", "3.2"],
	"owasp_ml": ["ML06", "ML09"],
}

deny contains data.plan.violation(trail, msg, remedy) if {
	some trail in data.plan.of("aws_cloudtrail")
	not data.plan.is_true(trail, ["enable_log_file_validation"])
	msg := "log files are not validated"
	remedy := "set enable_log_file_validation = true"
}

deny contains data.plan.violation(trail, msg, remedy) if {
	some trail in data.plan.of("aws_cloudtrail")
	not data.plan.is_true(trail, ["is_multi_region_trail"])
	msg := "the trail sees one region"
	remedy := "set is_multi_region_trail = true"
}

deny contains data.plan.violation(trail, msg, remedy) if {
	some trail in data.plan.of("aws_cloudtrail")
	data.plan.value(trail, ["enable_logging"]) == false
	msg := "the trail does not log"
	remedy := "leave enable_logging out, or set it to true"
}
