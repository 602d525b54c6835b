# Jobs and endpoints are reached through AWS's own front, never by address. Two half-internets are one, so a range
# wider than a /8 counts as open too.
package controls.network_open_ingress

import rego.v1

metadata := {
	"id": "network-open-ingress",
	"title": "Nothing is open to the internet",
	"severity": "critical",
	"nist_800_53": ["AC-4", "SC-7", "SC-7(3)", "SC-7(5)"],
	"cis_aws": ["5.2", "5.3"],
	"owasp_ml": ["ML01", "ML03", "ML04", "ML05"],
}

deny contains data.plan.violation(rule.resource, msg, remedy) if {
	some rule in ingress_rules
	some range in rule.ranges
	is_open(range)
	msg := sprintf("ingress from %s", [range])
	remedy := "name the security group that may call (referenced_security_group_id), or the network's own range"
}

is_open(range) if range in open_ranges

is_open(range) if {
	parts := split(range, "/")
	not contains(parts[0], ":")
	to_number(parts[1]) < 8
}

open_ranges := {"0.0.0.0/0", "::/0"}

# A security group's rules come in three shapes.
ingress_rules := array.concat(array.concat(inline, separate), single)

inline := [{"resource": group, "ranges": ranges} |
	some group in data.plan.any_of(["aws_security_group", "aws_default_security_group"])
	some block in data.plan.list(data.plan.value(group, ["ingress"]))
	ranges := ranges_of(block)
]

separate := [{"resource": resource, "ranges": ranges} |
	some resource in data.plan.of("aws_security_group_rule")
	data.plan.value(resource, ["type"]) == "ingress"
	ranges := ranges_of(resource.values)
]

single := [{"resource": resource, "ranges": ranges} |
	some resource in data.plan.of("aws_vpc_security_group_ingress_rule")
	ranges := ranges_of(resource.values)
]

ranges_of(block) := {range |
	some attribute in ["cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6"]
	some range in data.plan.list(object.get(block, attribute, null))
}
