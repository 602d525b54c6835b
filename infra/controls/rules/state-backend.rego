# Two applies at once leave neither's result, and state holds what the account looks like. A plan does not show
# the backend, so this reads the environments' files: backend blocks, and the *.hcl files that `terraform init
# -backend-config` takes.
package controls.state_backend

import rego.v1

metadata := {
	"id": "state-backend",
	"title": "State is locked and encrypted where it is kept",
	"severity": "critical",
	"nist_800_53": ["CM-3", "CM-5", "SC-28"],
	"cis_aws": [],
	"owasp_ml": ["ML06"],
}

deny contains backend_violation(backend, msg, remedy) if {
	some backend in data.backends
	backend.type != "s3"
	not backend.is_throwaway
	msg := sprintf("state is kept in a backend of type %s", [backend.type])
	remedy := "keep it in s3, with use_lockfile = true and encrypt = true"
}

deny contains backend_violation(backend, msg, remedy) if {
	some backend in data.backends
	backend.type == "s3"
	object.get(backend.settings, "use_lockfile", false) != true
	msg := "use_lockfile is not true: two applies can run at once"
	remedy := "set use_lockfile = true"
}

deny contains backend_violation(backend, msg, remedy) if {
	some backend in data.backends
	backend.type == "s3"
	object.get(backend.settings, "encrypt", false) != true
	msg := "encrypt is not true"
	remedy := "set encrypt = true"
}

backend_violation(backend, msg, remedy) := {"address": backend.file, "msg": msg, "remedy": remedy}
