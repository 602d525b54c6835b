# What a plan will leave in the account, and what refers to what in it.
package plan

import rego.v1

# `after` is null where a resource goes away; what is deposed is the old half of a replacement.
resources := [resource |
	some change in input.resource_changes
	change.mode == "managed"
	not change.deposed
	is_object(change.change.after)
	resource := {
		"address": change.address,
		"type": change.type,
		"name": change.name,
		"index": object.get(change, "index", null),
		"values": change.change.after,
		"unknown": unknowns(change.change),
	}
]

unknowns(change) := change.after_unknown if is_object(change.after_unknown)

unknowns(change) := {} if not is_object(object.get(change, "after_unknown", null))

of(type) := [resource | some resource in resources; resource.type == type]

any_of(types) := [resource | some resource in resources; resource.type in types]

# What goes away, a replaced resource's old half included.
leaving := [resource |
	some change in input.resource_changes
	change.mode == "managed"
	"delete" in change.change.actions
	resource := {
		"address": change.address,
		"type": change.type,
		"values": object.union({}, change.change.before),
	}
]

value(resource, path) := object.get(resource.values, path, null)

# "" where there is no text: builtins fail on what is null, and a failed rule ends the check.
text(resource, path) := found if {
	found := value(resource, path)
	is_string(found)
}

text(resource, path) := "" if not is_string(value(resource, path))

# Terraform writes a block as a list with one object; a path goes through it by the index 0.
is_unknown(resource, path) if object.get(resource.unknown, path, false) == true

# Whether the configuration gives the attribute a value that comes from another resource. An attribute that nobody
# set and that the provider computes is as unknown as one that waits for a key: only this tells them apart.
comes_from_a_resource(resource, path) if {
	references := object.get(data.configured, array.concat(array.concat([resource.address], path), ["refers_to"]), [])
	count(references) > 0
}

comes_from_a_resource(resource, path) if {
	object.get(data.configured, array.concat(array.concat([resource.address], path), ["opaque"]), false) == true
}

is_given(resource, path) if is_present(value(resource, path))

is_given(resource, path) if {
	is_unknown(resource, path)
	comes_from_a_resource(resource, path)
}

is_present(thing) if {
	not is_null(thing)
	not thing in ["", [], {}, false]
}

is_true(resource, path) if value(resource, path) == true

# A key of one's own, by its ARN. AWS-managed keys have a policy that nobody can narrow.
has_key(resource, path) if {
	key := value(resource, path)
	is_string(key)
	contains(key, ":kms:")
	not contains(key, ":alias/aws/")
}

has_key(resource, path) if {
	is_unknown(resource, path)
	comes_from_a_resource(resource, path)
}

# Resources of a type that are attached to another one by an attribute.
attached(resource, type, attribute) := [companion |
	some companion in data.plan.of(type)
	is_attached(companion, attribute, resource)
]

is_attached(companion, attribute, resource) if {
	some identity in ["id", "arn", "bucket", "name", "url", "key_id", "function_name"]
	known := object.get(resource.values, identity, null)
	is_string(known)
	value(companion, [attribute]) == known
}

is_attached(companion, attribute, resource) if {
	is_unknown(companion, [attribute])
	references := object.get(data.configured, [companion.address, attribute, "refers_to"], [])

	# A reference that could be to either of two attaches to neither.
	[address | some address in references; address in data.plan.addresses_of(resource.type)] == [resource.address]
}

addresses_of(type) := {resource.address | some resource in data.plan.of(type)}

list(thing) := thing if is_array(thing)

list(thing) := [] if is_null(thing)

list(thing) := [thing] if {
	not is_array(thing)
	not is_null(thing)
}

violation(resource, msg, remedy) := {"address": resource.address, "msg": msg, "remedy": remedy}
