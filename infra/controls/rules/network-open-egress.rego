# A container that is taken over sends the weights wherever it may. Only what fetches from the Hub has somewhere
# to go, and that is an exception by name.
package controls.network_open_egress

import rego.v1

metadata := {
	"id": "network-open-egress",
	"title": "Nothing may call the whole internet",
	"severity": "high",
	"nist_800_53": ["AC-4", "SC-7", "SC-7(5)", "SC-7(10)"],
	"cis_aws": [],
	"owasp_ml": ["ML05", "ML06"],
}

deny contains data.plan.violation(rule.resource, msg, remedy) if {
	some rule in egress_rules
	some range in rule.ranges
	range in open_ranges
	msg := sprintf("egress to %s", [range])
	remedy := "name the endpoint's security group or prefix list; what must reach the internet is an exception"
}

open_ranges := {"0.0.0.0/0", "::/0"}

# A security group's rules come in three shapes.
egress_rules := array.concat(array.concat(inline, separate), single)

inline := [{"resource": group, "ranges": ranges} |
	some group in data.plan.any_of(["aws_security_group", "aws_default_security_group"])
	some block in data.plan.list(data.plan.value(group, ["egress"]))
	ranges := ranges_of(block)
]

separate := [{"resource": resource, "ranges": ranges} |
	some resource in data.plan.of("aws_security_group_rule")
	data.plan.value(resource, ["type"]) == "egress"
	ranges := ranges_of(resource.values)
]

single := [{"resource": resource, "ranges": ranges} |
	some resource in data.plan.of("aws_vpc_security_group_egress_rule")
	ranges := ranges_of(resource.values)
]

ranges_of(block) := {range |
	some attribute in ["cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6"]
	some range in data.plan.list(object.get(block, attribute, null))
}
