variable "name" {
  description = "Prefix of everything that is made, and of what Lockstep's other modules made."
  type        = string
  default     = "lockstep"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "`name` must be 2 to 20 lower-case letters, digits and hyphens, beginning with a letter: bucket names hold it."
  }
}

variable "bucket_arns" {
  description = "The pipeline's buckets."
  type        = object({ intake = string, work = string, evidence = string })

  validation {
    condition     = alltrue([for arn in values(var.bucket_arns) : can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+$", arn))])
    error_message = "Each of `bucket_arns` must be a bucket's ARN, without a path: take them from pipeline's outputs."
  }
}

variable "state_machine_arn" {
  description = "The pipeline."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[^:*]+$", var.state_machine_arn))
    error_message = "`state_machine_arn` must be one state machine's ARN, without a version: executions are named after it."
  }
}

variable "role_arns" {
  description = "The functions' roles, by verb."
  type        = map(string)

  validation {
    condition = length(setsubtract(
      ["admit-run", "approve-package", "deploy-endpoint", "download-model", "evaluate-model", "launch-training", "monitor-drift", "respond-incident", "resume-execution", "scan-gate", "seal-artifact", "seal-run"],
      keys(var.role_arns),
    )) == 0
    error_message = "`role_arns` must hold the role of each function: without one, the guard would deny it its work, and the incidents would call it an intruder."
  }
  validation {
    condition     = alltrue([for arn in values(var.role_arns) : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*?]+$", arn))])
    error_message = "Each of `role_arns` must be one role's ARN, without a wildcard: whoever fits it would be spared every denial."
  }
}

variable "data_key_arn" {
  description = "Key that everything at rest is encrypted with."
  type        = string
}

variable "signing_key_arns" {
  description = "The signing keys, by the verb of the function that signs with it."
  type        = map(string)

  validation {
    condition     = length(var.signing_key_arns) > 0 && length(setsubtract(keys(var.signing_key_arns), keys(var.role_arns))) == 0
    error_message = "`signing_key_arns` must hold one key at least, and each under a verb of `role_arns`: who signs writes evidence."
  }
}

variable "checkpoint_key_arn" {
  description = "Key that transfers' checkpoints are authenticated with."
  type        = string
}

variable "topic_arn" {
  description = "Topic that says what awaits approval and how runs ended: operators may subscribe to it."
  type        = string
}

variable "incident_topic_arn" {
  description = "Topic that incidents go to; without one, `topic_arn`. Its policy and its key's must let events.amazonaws.com publish."
  type        = string
  default     = null
}

variable "dead_letter_queue_arn" {
  description = "Queue that incidents go to which the topic would not take; null for none. Its policy must let events.amazonaws.com send."
  type        = string
  default     = null
}

variable "runbook_url" {
  description = "Page that an incident links to; `#<incident>` is appended."
  type        = string

  validation {
    condition     = can(regex("^https://[^\\s#<>]+$", var.runbook_url))
    error_message = "`runbook_url` must be an https address without a fragment: whoever is woken up opens it."
  }
}

variable "teams" {
  description = <<-EOT
    Teams, by a name that is also their prefix: `datasets/training/<team>/` is theirs.
    `submitters`, `approvers` and `scientists` are ARNs of users or roles; a kind without any has no role.
    `model_package_groups` are the names of the groups that the team's models are registered in, exactly as requests write them.
  EOT

  type = map(object({
    submitters           = optional(set(string), [])
    approvers            = optional(set(string), [])
    scientists           = optional(set(string), [])
    model_package_groups = set(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for team in keys(var.teams) : can(regex("^[a-z][a-z0-9-]{0,19}$", team))])
    error_message = "Each key of `teams` must be 1 to 20 lower-case letters, digits and hyphens, beginning with a letter: it is part of a role's name and of a prefix."
  }
  validation {
    condition = alltrue(flatten([
      for members in values(var.teams) : [for arn in setunion(members.submitters, members.approvers, members.scientists) : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*?]+$", arn))]
    ]))
    error_message = "Each of `submitters`, `approvers` and `scientists` in `teams` must be the ARN of a user or role, without a wildcard, and no account: an account would let in both sides of an approval."
  }
  validation {
    condition     = length(setintersection(toset(flatten([for members in values(var.teams) : tolist(members.submitters)])), toset(flatten([for members in values(var.teams) : tolist(members.approvers)])))) == 0
    error_message = "In `teams`, nobody may be among both `submitters` and `approvers`, not even of two teams: they would approve what they submitted, under two names."
  }
  validation {
    condition     = alltrue(flatten([for members in values(var.teams) : [for group in members.model_package_groups : can(regex("^[a-zA-Z0-9]([a-zA-Z0-9-]{0,62})$", group))]]))
    error_message = "Each of `model_package_groups` in `teams` must be a group's name, without a wildcard: 1 to 63 letters, digits and hyphens."
  }
  validation {
    condition     = alltrue([for members in values(var.teams) : length(members.model_package_groups) > 0])
    error_message = "Each of `teams` must have one of `model_package_groups` at least: there would be nothing to approve or look at."
  }
  validation {
    condition     = length(distinct(flatten([for members in values(var.teams) : [for group in members.model_package_groups : lower(group)]]))) == length(flatten([for members in values(var.teams) : tolist(members.model_package_groups)]))
    error_message = "In `teams`, each of `model_package_groups` must be one team's alone, and differ from the others in more than case: ARNs hold them in lower case."
  }
  validation {
    condition = alltrue(flatten([
      for members in values(var.teams) : [
        for arn in setunion(members.submitters, members.approvers, members.scientists) : strcontains(arn, var.identities.source == "iam-users" ? ":user/" : ":role/")
      ]
    ]))
    error_message = "Everybody in `teams` must be a user where `identities.source` is iam-users, and a role where it is identity-provider: the other kind has no name that a session could be held to."
  }
}

variable "operators" {
  description = "ARNs of users or roles that may watch, stop and pause, roll back, and disable a key in an emergency."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.operators : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*?]+$", arn)) && strcontains(arn, var.identities.source == "iam-users" ? ":user/" : ":role/")])
    error_message = "Each of `operators` must be the ARN of a user (`identities.source` iam-users) or role (identity-provider), without a wildcard."
  }
}

variable "auditors" {
  description = "ARNs of users or roles that may read the record, and change nothing."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.auditors : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*?]+$", arn)) && strcontains(arn, var.identities.source == "iam-users" ? ":user/" : ":role/")])
    error_message = "Each of `auditors` must be the ARN of a user (`identities.source` iam-users) or role (identity-provider), without a wildcard."
  }
}

variable "identities" {
  description = <<-EOT
    Where people come from. `iam-users`: IAM asks them for their second factor. `identity-provider`: their roles' sessions
    carry two tags that the provider vouches for: `name_tag`, who they are, and `mfa_tag`, `true` after a second factor.
  EOT

  type = object({
    source   = optional(string, "iam-users")
    name_tag = optional(string, "email")
    mfa_tag  = optional(string, "mfa")
  })
  default = {}

  validation {
    condition     = contains(["iam-users", "identity-provider"], var.identities.source)
    error_message = "`identities.source` must be iam-users or identity-provider."
  }
  validation {
    condition     = alltrue([for tag in [var.identities.name_tag, var.identities.mfa_tag] : can(regex("^[a-zA-Z0-9_.:-]+$", tag))]) && var.identities.name_tag != var.identities.mfa_tag
    error_message = "`identities.name_tag` and `identities.mfa_tag` must be two tags' keys, of letters, digits and _.:- alone: they become part of a policy."
  }
}

variable "mfa_for_all" {
  description = "Whether every role asks for a second factor. Approvers' and operators' always do."
  type        = bool
  default     = true
}

variable "mfa_max_age_seconds" {
  description = "Seconds since the second factor within which a role can be taken on; for users of IAM."
  type        = number
  default     = 3600

  validation {
    condition     = var.mfa_max_age_seconds >= 60 && var.mfa_max_age_seconds <= 43200 && floor(var.mfa_max_age_seconds) == var.mfa_max_age_seconds
    error_message = "`mfa_max_age_seconds` must be a whole number from 60 to 43200: a day-old code proves nothing."
  }
}

variable "deployers" {
  description = "ARNs of the roles or users that apply this; without any, whoever does."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.deployers : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*?]+$", arn))])
    error_message = "Each of `deployers` must be the ARN of a role or user, without a wildcard: whoever fits it may change keys, roles and walls."
  }
}

variable "operators_may_redrive" {
  description = "Whether operators may redrive an execution. It then goes on after its record was sealed, which will not tell what came of it."
  type        = bool
  default     = false
}

variable "rollback_function_arn" {
  description = "Function that rolls an endpoint back, which operators may invoke, and which verifies what serves once more when somebody changed what only the pipeline may; null for none. It must be known when this is planned, and let the rules `<name>-incident-*` invoke it, as `pipeline` does."
  type        = string
  default     = null
}

variable "scheduler_role_arn" {
  description = "Role that a schedule starts runs with: operators then may pause schedules; null for not. It must be `<name>-scheduler`."
  type        = string
  default     = null

  validation {
    condition     = var.scheduler_role_arn == null ? true : endswith(var.scheduler_role_arn, ":role/${var.name}-scheduler")
    error_message = "`scheduler_role_arn` must be the role `<name>-scheduler`: the boundary lets people pass no other."
  }
}

variable "mail_domains" {
  description = "Domains whose addresses operators may subscribe to the topic; without any they may subscribe none."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for domain in var.mail_domains : can(regex("^[a-z0-9][a-z0-9.-]*\\.[a-z]{2,}$", domain))])
    error_message = "Each of `mail_domains` must be a domain such as example.com, without @ or a wildcard."
  }
}

variable "audit" {
  description = <<-EOT
    What auditors read besides the evidence: the trail, its bucket, the access logs' bucket, and Athena's workgroup and
    database. `results_arn` is where the workgroup keeps its answers, a bucket's ARN and a prefix; `key_arn` their key, if it is not the data key.
  EOT

  type = object({
    trail_arn             = string
    trail_bucket_arn      = string
    access_log_bucket_arn = string
    athena_workgroup      = string
    glue_database         = string
    results_arn           = string
    key_arn               = optional(string)
  })
  default = null

  validation {
    condition     = var.audit == null ? true : can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+/.*[^/*]$", var.audit.results_arn))
    error_message = "`audit.results_arn` must be a bucket's ARN and a prefix, without a slash or wildcard at its end: auditors write below it, and must not write beside it."
  }
}

variable "guarded_roles" {
  description = "Names of other roles that the guard is attached to, such as CI's or administrators'."
  type        = set(string)
  default     = []
}

variable "organization_targets" {
  description = "Accounts, units or root of the organisation that the guard is attached to as a service control policy; without any it is not made."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for target in var.organization_targets : can(regex("^([0-9]{12}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32})$", target))])
    error_message = "Each of `organization_targets` must be an account's id, a unit's (ou-...) or a root's (r-...)."
  }
}
