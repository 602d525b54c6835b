variable "name" {
  description = "Prefix of everything that is made. Resources that a run makes carry it too."
  type        = string
  default     = "lockstep"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "`name` must be 2 to 20 lower-case letters, digits and hyphens, beginning with a letter: bucket names hold it."
  }
}

variable "zips_dir" {
  description = "Directory that holds one `<verb>.zip` for each function."
  type        = string
}

variable "architecture" {
  description = "Instruction set that the zips were built for."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "`architecture` must be x86_64 or arm64: Lambda has no other."
  }
}

variable "transfer_memory_mb" {
  description = "Memory of the functions that transfer files."
  type        = number

  # They need 80 MB, whatever a file's size. Lambda deals out processors by memory, one at 1,769 MB: this is a whole
  # one for hashing and TLS, which are done on one, and a little for what goes on beside them.
  default = 2048

  validation {
    condition     = var.transfer_memory_mb >= 256 && var.transfer_memory_mb <= 10240 && floor(var.transfer_memory_mb) == var.transfer_memory_mb
    error_message = "`transfer_memory_mb` must be a whole number from 256 to 10240, Lambda's most."
  }
}

variable "definition_path" {
  description = "The state machine's definition, with placeholders for function ARNs."
  type        = string
}

variable "policy_path" {
  description = "The policy that bounds every request."
  type        = string
}

variable "code_revision" {
  description = "Git revision of what is deployed; it goes into each artefact's provenance."
  type        = string
  default     = "unknown"
}

variable "signing_keys_not_before" {
  description = "What the signing keys signed before this time, RFC 3339, does not count."
  type        = string
  default     = "2026-01-01T00:00:00Z"
}

variable "replaced_signing_keys" {
  description = "Signing keys that were replaced, as they stood in the trust root, with `not_after`. What they signed until then still verifies."
  type = list(object({
    keyid           = string
    function        = string
    public_key      = string
    predicate_types = list(string)
    not_before      = string
    not_after       = string
  }))
  default = []
}

variable "drift" {
  description = "How often traffic is compared with its baseline, an EventBridge schedule expression, and how many minutes of it: more than from one time to the next, since captures come late."
  type = object({
    schedule       = optional(string, "rate(1 hour)")
    window_minutes = optional(number, 75)
  })
  default = {}

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.drift.schedule))
    error_message = "`drift.schedule` must be an EventBridge schedule expression, such as rate(1 hour) or cron(5 * * * ? *)."
  }
  validation {
    condition     = var.drift.window_minutes >= 1 && var.drift.window_minutes <= 44640 && floor(var.drift.window_minutes) == var.drift.window_minutes
    error_message = "`drift.window_minutes` must be a whole number from 1 to 44640, a month."
  }
}

variable "promotes_from" {
  description = "Trust roots of the accounts whose runs may be promoted into this one, each as that account's output `trust_root` has it. This account's own runs always may."
  # A trust root may itself name further ones, and Terraform has no recursive type.
  type    = any
  default = []

  validation {
    condition = try(alltrue([
      for root in var.promotes_from : root.schema == "lockstep/trust-root/v1" && length(root.keys) > 0 &&
      alltrue([for key in root.keys : can(key.keyid) && can(key.function) && can(key.public_key) && can(key.predicate_types) && can(key.not_before)])
    ]), false)
    error_message = "`promotes_from` must be a list of trust roots: take each from `terraform output -json trust_root` of the account whose runs may be promoted."
  }
}

variable "forgetters" {
  description = "ARNs of users or roles that may take on the role of `lockstep forget`, which deletes a person's records. Without any there is no such role, and nobody may."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.forgetters : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*?]+$", arn))])
    error_message = "Each of `forgetters` must be the ARN of a role or user, without a wildcard."
  }
}

variable "forgetters_need_mfa" {
  description = "Whether that role asks for a second factor. Roles that an identity provider signs people in to carry none that IAM knows: there, ask for it where people sign in."
  type        = bool
  default     = true
}

variable "retention_days" {
  description = "Days until what holds people's data is deleted, by its place in the work bucket: captured traffic, labels, training and evaluation data, drift reports, and a run's folder with the answers that it was graded by. `former`: days until a former version is, there and among baselines and requests. Needs `abort_uploads_after_days`, since a bucket has one lifecycle."
  type = object({
    capture  = optional(number, 90)
    labels   = optional(number, 400)
    datasets = optional(number, 730)
    drift    = optional(number, 400)
    runs     = optional(number, 400)
    former   = optional(number, 30)
  })
  default = {}

  validation {
    condition     = alltrue([for days in values(var.retention_days) : days >= 1 && floor(days) == days])
    error_message = "Each of `retention_days` must be a whole number of days, at least 1."
  }
  validation {
    condition     = var.retention_days.runs >= 90
    error_message = "`retention_days.runs` must be 90 at least: a run's folder holds what it still waits for, and Step Functions keeps its history for as long."
  }
}

variable "forget_promotions_after_days" {
  description = "Days after which what was carried over of a run to promote is deleted from the intake bucket. A promotion that has not been approved by then starts anew."
  type        = number
  default     = 30

  validation {
    condition     = var.forget_promotions_after_days >= 1 && floor(var.forget_promotions_after_days) == var.forget_promotions_after_days
    error_message = "`forget_promotions_after_days` must be a whole number of days, at least 1."
  }
}

variable "extra_environment" {
  description = "Variables that every function gets besides its own."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.extra_environment) : !startswith(name, "LOCKSTEP_")])
    error_message = "`extra_environment` may not hold LOCKSTEP_ variables: each has one meaning, and this module sets it."
  }
}

variable "log_filter" {
  description = "RUST_LOG of the functions."
  type        = string
  default     = "info"
}

variable "hf_endpoint" {
  description = "Base URL of the Hugging Face Hub."
  type        = string
  default     = "https://huggingface.co"

  validation {
    condition     = can(regex("^https?://[^/]+$", var.hf_endpoint))
    error_message = "`hf_endpoint` must be a scheme and a host, without a path, such as https://huggingface.co."
  }
}

variable "repository_name" {
  description = "ECR repository that the container's images come from."
  type        = string
  default     = "lockstep/model-container"
}

variable "sweep_seconds" {
  description = "Seconds between two sweeps."
  type        = number
  default     = 300

  validation {
    condition     = var.sweep_seconds >= 1 && var.sweep_seconds <= 3600 && floor(var.sweep_seconds) == var.sweep_seconds
    error_message = "`sweep_seconds` must be a whole number from 1 to 3600: a heartbeat has to come within three sweeps."
  }
}

variable "incident_cooldown_seconds" {
  description = "Seconds after an endpoint was rolled back in which no event rolls it back again. A version that is deployed in between is another matter, and so is a person who asks."
  type        = number
  default     = 3600

  # An alarm looks back over minutes: what it still sees is what was rolled back.
  validation {
    condition     = var.incident_cooldown_seconds >= 300 && var.incident_cooldown_seconds <= 86400 && floor(var.incident_cooldown_seconds) == var.incident_cooldown_seconds
    error_message = "`incident_cooldown_seconds` must be a whole number from 300 to 86400: an alarm still sees what was rolled back minutes ago, and an endpoint must not be left alone for days."
  }
}

variable "autoscaling" {
  description = "By endpoint: between which numbers of instances it is kept, at how many invocations a minute each, with cooldowns in seconds. An endpoint that is left out keeps its size. deploy-endpoint registers it once the endpoint serves."
  type = map(object({
    min_capacity             = number
    max_capacity             = number
    invocations_per_instance = number
    scale_in_cooldown        = number
    scale_out_cooldown       = number
  }))
  default = {}

  validation {
    condition = alltrue([
      for scaling in values(var.autoscaling) :
      scaling.min_capacity >= 1 && scaling.max_capacity >= scaling.min_capacity && scaling.invocations_per_instance > 0 && scaling.scale_in_cooldown >= 0 && scaling.scale_out_cooldown >= 0 && alltrue([for value in values(scaling) : floor(value) == value])
    ])
    error_message = "`autoscaling` needs whole numbers: 1 <= `min_capacity` <= `max_capacity`, a positive `invocations_per_instance`, and cooldowns of 0 or more: a variant without instances answers nobody."
  }
}

variable "bake_seconds" {
  description = "Seconds that a new version serves before the configurations and models before its predecessor are removed. The predecessor stays, for a rollback goes back to it."
  type        = number
  default     = 86400

  validation {
    condition     = var.bake_seconds >= 0 && var.bake_seconds <= 7776000 && floor(var.bake_seconds) == var.bake_seconds
    error_message = "`bake_seconds` must be a whole number from 0 to 7776000, which is 90 days."
  }
}

variable "runbooks_url" {
  description = "Where docs/runbooks is read: an incident's notification links to a page below it."
  type        = string
  default     = "docs/runbooks"

  validation {
    condition     = can(regex("^[^\\s#?<>\"]*[^\\s#?<>\"/]$", var.runbooks_url))
    error_message = "`runbooks_url` must be an address or a path without spaces, query or fragment, and without a slash at its end: `/<runbook>.md` is appended."
  }
}

variable "subnet_ids" {
  description = "Subnets of the jobs, models and endpoints."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "`subnet_ids` must name one subnet at least: jobs and endpoints run inside a VPC."
  }
}

variable "security_group_ids" {
  description = "Security groups of the jobs, models and endpoints."
  type        = list(string)

  validation {
    condition     = length(var.security_group_ids) > 0
    error_message = "`security_group_ids` must name one security group at least: jobs and endpoints run inside a VPC."
  }
}

variable "evaluation_writers" {
  description = "`aws:userid` patterns of those who may write `datasets/evaluation/`; without this, those that the policy names. Nobody, if none."
  type        = list(string)
  default     = null
}

variable "label_writers" {
  description = "`aws:userid` patterns of those who may write `labels/`, what turned out to be true of what endpoints predicted, such as AROA...:*. Nobody, if none."
  type        = list(string)
  default     = []
}

variable "deployers" {
  description = "ARNs of the roles or users that may write `policy/`; without any, whoever applies this."
  type        = list(string)
  default     = []
}

variable "endpoint_names" {
  description = "Endpoints that requests may choose: those that `serving` declares."
  type        = set(string)

  validation {
    condition     = alltrue([for name in var.endpoint_names : can(regex("^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$", name))])
    error_message = "Each of `endpoint_names` must be an endpoint's name: 1 to 63 letters, digits and hyphens, with neither end a hyphen."
  }
}

variable "reserved_concurrency" {
  description = "Invocations of each function that may run at once, by verb; 10 for a verb that is not named. They are taken from the account's limit, which new accounts have raised first; null reserves none."
  type        = map(number)
  default     = { download-model = 40 }

  validation {
    condition     = var.reserved_concurrency == null ? true : alltrue([for limit in values(var.reserved_concurrency) : limit >= 1 && floor(limit) == limit])
    error_message = "`reserved_concurrency` must hold whole numbers from 1 on, or be null: a function with none never runs."
  }
}

variable "dead_letters" {
  description = "Whether what could not be delivered is kept in a queue. The provider takes half a minute to see one settle."
  type        = bool
  default     = true
}

variable "function_network" {
  description = "Subnets and security groups of every function but download-model; null for outside a VPC."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null
}

variable "download_network" {
  description = "Subnets and security groups of download-model, the only one that speaks to the Hub; null for outside a VPC."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null
}

variable "key_rotation_days" {
  description = "Days after which KMS replaces the data key's material. Signing keys cannot rotate: see the README."
  type        = number
  default     = 365

  validation {
    condition     = var.key_rotation_days >= 90 && var.key_rotation_days <= 2560 && floor(var.key_rotation_days) == var.key_rotation_days
    error_message = "`key_rotation_days` must be a whole number from 90 to 2560: KMS knows no other."
  }
}

variable "key_deletion_days" {
  description = "Days between a key's being given up and its end."
  type        = number
  default     = 30

  validation {
    condition     = var.key_deletion_days >= 7 && var.key_deletion_days <= 30 && floor(var.key_deletion_days) == var.key_deletion_days
    error_message = "`key_deletion_days` must be a whole number from 7 to 30: KMS knows no other."
  }
}

variable "secret_recovery_days" {
  description = "Days during which a deleted secret can be had back; none where `force_destroy` is set, so that its name is free at once."
  type        = number
  default     = 30

  validation {
    condition     = var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30 && floor(var.secret_recovery_days) == var.secret_recovery_days
    error_message = "`secret_recovery_days` must be a whole number from 7 to 30: Secrets Manager knows no other."
  }
}

variable "hub_token" {
  description = "The Hub's token. It is sent and kept nowhere; set `hub_token_version` with it."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true
}

variable "hub_token_version" {
  description = "Another number sends `hub_token` again; null leaves the secret to be filled by hand."
  type        = number
  default     = null
}

variable "data_key_statements" {
  description = "Statements that other modules need in the data key's policy: `tracking`'s output of that name."
  type        = any
  default     = []
}

variable "access_log_bucket" {
  description = "Bucket that takes S3's access logs, under the name of the bucket that they tell of; null for none."
  type        = string
  default     = null
}

variable "intelligent_tiering" {
  description = "Whether models, artifacts and captured traffic are stored where S3 moves what nobody reads to cheaper tiers. Needs `abort_uploads_after_days`, since a bucket has one lifecycle."
  type        = bool
  default     = true
}

variable "replication" {
  description = "Where buckets are copied to, by purpose (intake, work, evidence), as bucket ARNs of another region or account, versioned; and the key there. Null for none."
  type = object({
    bucket_arns = map(string)
    kms_key_arn = string
  })
  default = null

  validation {
    condition     = var.replication == null ? true : length(var.replication.bucket_arns) > 0 && length(setsubtract(keys(var.replication.bucket_arns), ["intake", "work", "evidence"])) == 0
    error_message = "`replication.bucket_arns` must name at least one of intake, work and evidence, and nothing else."
  }
}

variable "alert_subscribers" {
  description = "Who is told of alarms and incidents, by a name of your own: `protocol` (email, https, lambda, sqs) and `endpoint`."
  type        = map(object({ protocol = string, endpoint = string }))
  default     = {}

  validation {
    condition     = alltrue([for subscriber in values(var.alert_subscribers) : contains(["email", "https", "lambda", "sqs"], subscriber.protocol)])
    error_message = "Each `protocol` of `alert_subscribers` must be email, https, lambda or sqs: the others are not encrypted or not confirmed."
  }
}

variable "schedules" {
  description = "Runs that start by the clock: when, and the request's `s3://` address in the intake bucket."
  type = map(object({
    expression  = string
    request_uri = string
    enabled     = optional(bool, true)
    timezone    = optional(string, "UTC")
  }))
  default = {}

  validation {
    condition     = alltrue([for schedule in values(var.schedules) : can(regex("^(rate|cron|at)\\(.+\\)$", schedule.expression))])
    error_message = "Each schedule's `expression` must be rate(...), cron(...) or at(...)."
  }
  validation {
    condition     = alltrue([for schedule in values(var.schedules) : can(regex("^s3://[^/]+/requests/.+\\.json$", schedule.request_uri))])
    error_message = "Each schedule's `request_uri` must be s3://<intake bucket>/requests/....json."
  }
}

variable "subscribers" {
  description = "E-mail addresses that the topic notifies. Each must confirm."
  type        = set(string)
  default     = []
}

variable "evidence_retention_days" {
  description = "Days during which evidence cannot be deleted, but by those who may bypass governance."
  type        = number

  validation {
    condition     = var.evidence_retention_days >= 1
    error_message = "`evidence_retention_days` must be 1 or more: evidence that can be deleted proves nothing."
  }
}

variable "abort_uploads_after_days" {
  description = "Days after which an upload that was never finished, and a former checkpoint, is dropped; null for never. Longer than a transfer may take: one that is under way would start over. The provider takes most of a minute to see it settle."
  type        = number
  default     = 7

  validation {
    condition     = var.abort_uploads_after_days == null ? true : var.abort_uploads_after_days >= 1 && floor(var.abort_uploads_after_days) == var.abort_uploads_after_days
    error_message = "`abort_uploads_after_days` must be a whole number of days, or null."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 90
}

variable "force_destroy" {
  description = "Whether destroying this may empty its buckets."
  type        = bool
  default     = false
}
