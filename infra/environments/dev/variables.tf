variable "name" {
  description = "Prefix of everything that is made."
  type        = string
  default     = "lockstep"
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "local_account" {
  description = "Whether the provider speaks to an account on this machine: credentials are not looked up, and buckets are addressed by path."
  type        = bool
  default     = false
}

variable "force_destroy" {
  description = "Whether destroying the environment may empty its buckets and repository."
  type        = bool
  default     = false
}

variable "zips_dir" {
  description = "Directory that holds one `<verb>.zip` for each function, as `cargo lambda build --output-format zip` makes it."
  type        = string
}

variable "architecture" {
  description = "Instruction set that the zips were built for: x86_64 or arm64."
  type        = string
  default     = "x86_64"
}

variable "extra_environment" {
  description = "Variables that every function gets besides its own."
  type        = map(string)
  default     = {}
}

variable "hf_endpoint" {
  description = "Base URL of the Hugging Face Hub."
  type        = string
  default     = "https://huggingface.co"
}

variable "transfer_memory_mb" {
  description = "Memory of the functions that transfer files. They need 80 MB; the rest is for the processor that comes with it, a whole one at 1,769 MB."
  type        = number
  default     = 2048
}

variable "sweep_seconds" {
  description = "Seconds between two sweeps. The rule fires at most once a minute; a shorter time tells the functions how soon their heartbeat may be expected."
  type        = number
  default     = 300
}

variable "subnet_ids" {
  description = "Subnets of the jobs, models and endpoints."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the jobs, models and endpoints."
  type        = list(string)
}

variable "evaluation_writers" {
  description = "`aws:userid` patterns of those who may write `datasets/evaluation/`; without this, those that the policy names. Nobody, if none."
  type        = list(string)
  default     = null
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

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 90
}

variable "policy_path" {
  description = "The policy that bounds every request; without it, `policy.json` beside this file."
  type        = string
  default     = null
}

variable "definition_path" {
  description = "The state machine's definition; without it, the one that is shipped."
  type        = string
  default     = null
}

variable "endpoints" {
  description = "Endpoints that requests may choose, and the alarms that roll a deployment back."
  type = map(object({
    max_5xx_errors       = optional(number, 1)
    max_p99_milliseconds = optional(number, 2000)
    evaluation_periods   = optional(number, 1)
    period_seconds       = optional(number, 60)
  }))
  default = { tiny-lm = {} }
}

variable "schedules" {
  description = "Runs that start by the clock."
  type = map(object({
    expression  = string
    request_uri = string
    enabled     = optional(bool, true)
    timezone    = optional(string, "UTC")
  }))
  default = {}
}

variable "subscribers" {
  description = "E-mail addresses that the topic notifies."
  type        = set(string)
  default     = []
}

variable "evidence_retention_days" {
  description = "Days during which evidence cannot be deleted: seven years."
  type        = number
  default     = 2557
}

variable "abort_uploads_after_days" {
  description = "Days after which an upload that was never finished, and a former checkpoint, is dropped; null for never. Longer than a transfer may take: one that is under way would start over. The provider takes most of a minute to see it settle."
  type        = number
  default     = 7
}
