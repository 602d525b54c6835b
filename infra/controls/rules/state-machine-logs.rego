# Execution data holds task tokens, and whoever reads one can answer for a gate. A machine that logs nothing
# leaves a refused run unexplained after ninety days.
package controls.state_machine_logs

import rego.v1

metadata := {
	"id": "state-machine-logs",
	"title": "State machines log what happened, and no task token",
	"severity": "high",
	"nist_800_53": ["AU-2", "AU-12", "SC-28", "SI-11"],
	"cis_aws": [],
	"owasp_ml": ["ML09"],
}

deny contains data.plan.violation(machine, msg, remedy) if {
	some machine in data.plan.of("aws_sfn_state_machine")
	not data.plan.value(machine, ["logging_configuration", 0, "level"]) in ["ALL", "ERROR"]
	msg := "the state machine logs nothing"
	remedy := "set logging_configuration { level = \"ALL\", include_execution_data = false, log_destination }"
}

deny contains data.plan.violation(machine, msg, remedy) if {
	some machine in data.plan.of("aws_sfn_state_machine")
	data.plan.is_true(machine, ["logging_configuration", 0, "include_execution_data"])
	msg := "execution data, task tokens included, goes into the log"
	remedy := "set include_execution_data = false"
}
