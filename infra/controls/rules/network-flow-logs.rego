# After a leak, flow logs are what says where the bytes went.
package controls.network_flow_logs

import rego.v1

metadata := {
	"id": "network-flow-logs",
	"title": "Each network keeps a record of who spoke to whom",
	"severity": "medium",
	"nist_800_53": ["AU-2", "AU-12", "SI-4"],
	"cis_aws": ["3.7"],
	"owasp_ml": ["ML05"],
}

deny contains data.plan.violation(vpc, msg, remedy) if {
	some vpc in data.plan.of("aws_vpc")
	not is_logged(vpc)
	msg := "the network has no flow log of all traffic or of what is rejected"
	remedy := "attach an aws_flow_log with traffic_type = \"ALL\""
}

is_logged(vpc) if {
	some log in data.plan.attached(vpc, "aws_flow_log", "vpc_id")
	data.plan.value(log, ["traffic_type"]) in ["ALL", "REJECT"]
}
