# Whoever takes over a service finds no root, nowhere to put a tool, and an image that is the one that was
# scanned.
package controls.task_hardening

import rego.v1

metadata := {
	"id": "task-hardening",
	"title": "Containers run as nobody, on a disk that they cannot write, from a digest",
	"severity": "high",
	"nist_800_53": ["AC-6", "CM-7", "SI-7", "SR-11"],
	"cis_aws": [],
	"owasp_ml": ["ML06"],
}

deny contains data.plan.violation(definition.task, msg, remedy) if {
	some definition in containers
	not definition.container.readonlyRootFilesystem
	msg := sprintf("container %s can write its root file system", [definition.container.name])
	remedy := "set readonlyRootFilesystem = true, and mount a volume where it must write"
}

deny contains data.plan.violation(definition.task, msg, remedy) if {
	some definition in containers
	user := object.get(definition.container, "user", "")
	split(sprintf("%v", [user]), ":")[0] in ["", "0", "root"]
	msg := sprintf("container %s runs as root", [definition.container.name])
	remedy := "set user to an id other than 0"
}

deny contains data.plan.violation(definition.task, msg, remedy) if {
	some definition in containers
	not contains(definition.container.image, "@sha256:")
	msg := sprintf("container %s names its image by tag", [definition.container.name])
	remedy := "name the image by digest: REPOSITORY@sha256:DIGEST"
}

deny contains data.plan.violation(definition.task, msg, remedy) if {
	some definition in containers
	object.get(definition.container, "privileged", false) == true
	msg := sprintf("container %s is privileged", [definition.container.name])
	remedy := "leave privileged out"
}

containers := [{"task": task, "container": container} |
	some task in data.plan.of("aws_ecs_task_definition")
	definitions := data.plan.text(task, ["container_definitions"])
	definitions != ""
	some container in json.unmarshal(definitions)
]
