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

variable "deployers" {
  description = "ARNs of the roles or users that may write `policy/`; without any, whoever applies this."
  type        = list(string)
  default     = []
}

variable "endpoints" {
  description = "Endpoints that requests may choose, and the alarms that roll a deployment back."
  type = map(object({
    max_5xx_errors       = optional(number, 1)
    max_p99_milliseconds = optional(number, 2000)
    evaluation_periods   = optional(number, 1)
    period_seconds       = optional(number, 60)
  }))

  validation {
    condition     = alltrue([for name in keys(var.endpoints) : can(regex("^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$", name))])
    error_message = "Each key of `endpoints` must be an endpoint's name: 1 to 63 letters, digits and hyphens, with neither end a hyphen."
  }
}

variable "variant_name" {
  description = "Production variant whose metrics the alarms watch: the one that deploy-endpoint makes."
  type        = string
  default     = "primary"
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
