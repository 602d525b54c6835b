# Metrics, parameters and credentials of experiments pass through. A listener that only redirects to TLS carries
# nothing.
package controls.listener_tls

import rego.v1

metadata := {
	"id": "listener-tls",
	"title": "Load balancers speak TLS 1.2 or newer",
	"severity": "critical",
	"nist_800_53": ["IA-2", "SC-8", "SC-8(1)", "SC-13", "SC-23"],
	"cis_aws": [],
	"owasp_ml": ["ML03", "ML05"],
}

deny contains data.plan.violation(listener, msg, remedy) if {
	some listener in data.plan.any_of(["aws_lb_listener", "aws_alb_listener"])
	not data.plan.value(listener, ["protocol"]) in ["HTTPS", "TLS"]
	not only_redirects(listener)
	msg := sprintf("the listener speaks %v", [data.plan.value(listener, ["protocol"])])
	remedy := "set protocol = \"HTTPS\", certificate_arn and ssl_policy, or let it only redirect to HTTPS"
}

deny contains data.plan.violation(listener, msg, remedy) if {
	some listener in data.plan.any_of(["aws_lb_listener", "aws_alb_listener"])
	data.plan.value(listener, ["protocol"]) in ["HTTPS", "TLS"]
	not data.plan.text(listener, ["ssl_policy"]) in modern
	msg := sprintf("the TLS policy is %v", [data.plan.value(listener, ["ssl_policy"])])
	remedy := "set ssl_policy = \"ELBSecurityPolicy-TLS13-1-2-2021-06\""
}

only_redirects(listener) if {
	actions := data.plan.list(data.plan.value(listener, ["default_action"]))
	count(actions) > 0
	every action in actions {
		action.type == "redirect"
		action.redirect[0].protocol == "HTTPS"
	}
}

modern := {
	"ELBSecurityPolicy-TLS13-1-2-2021-06", "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
	"ELBSecurityPolicy-TLS13-1-3-2021-06", "ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04",
	"ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04", "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04",
}
