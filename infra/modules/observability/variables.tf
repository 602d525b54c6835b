variable "name" {
  description = "Prefix of everything that is made."
  type        = string
  default     = "lockstep"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "`name` must be 2 to 20 lower-case letters, digits and hyphens, beginning with a letter: give the pipeline's."
  }
}

variable "topic_arn" {
  description = "SNS topic that alarms notify. Its policy, and the policy of the key that encrypts it, must let cloudwatch.amazonaws.com publish."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:sns:[^:]+:[0-9]{12}:[^:]+$", var.topic_arn))
    error_message = "`topic_arn` must be the ARN of an SNS topic: an alarm that tells nobody is none."
  }
}

variable "notify_recovery" {
  description = "Whether an alarm's return to OK is notified too."
  type        = bool
  default     = false
}

variable "data_key_arn" {
  description = "KMS key that log groups are encrypted with. Its policy must let CloudWatch Logs use it for every group in the output `log_group_names`."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.data_key_arn))
    error_message = "`data_key_arn` must be the ARN of a KMS key, not an alias: CloudWatch Logs takes no alias."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "`log_retention_days` must be a number of days that CloudWatch Logs knows, such as 30, 90, 180 or 365. Logs that never expire are not offered."
  }
}

variable "state_machine_arn" {
  description = "State machine of the pipeline."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:states:[^:]+:[0-9]{12}:stateMachine:[^:]+$", var.state_machine_arn))
    error_message = "`state_machine_arn` must be the ARN of a state machine: its metrics carry it as their dimension."
  }
}

variable "state_machine_log_group" {
  description = "Log group that the state machine writes its history to; null where there is none."
  type        = string
  default     = null
}

variable "function_names" {
  description = "The functions' names by verb, such as `scan-gate`."
  type        = map(string)

  validation {
    condition     = contains(keys(var.function_names), "scan-gate") && contains(keys(var.function_names), "download-model")
    error_message = "`function_names` must hold scan-gate and download-model at least: what they log and measure is watched. Give the pipeline's output."
  }
}

variable "function_log_groups" {
  description = "Log groups of functions, by verb, that are not `/aws/lambda/<name>`."
  type        = map(string)
  default     = {}
}

variable "functions_that_never_refuse" {
  description = "Verbs of `function_names` whose every error is a fault. Of the others an error is mostly a verdict: a gate refuses by failing."
  type        = set(string)
  default     = ["resume-execution", "seal-run"]

  validation {
    condition     = length(setsubtract(var.functions_that_never_refuse, keys(var.function_names))) == 0
    error_message = "`functions_that_never_refuse` must name verbs of `function_names`."
  }
}

variable "endpoints" {
  description = "Endpoints by name: production variant, and the most of what is borne. Errors are counted a minute; latency in milliseconds; `evaluation_periods` in minutes."
  type = map(object({
    variant                      = optional(string, "primary")
    max_errors_per_minute        = optional(number, 10)
    max_client_errors_per_minute = optional(number, 100)
    max_p99_milliseconds         = optional(number, 1000)
    evaluation_periods           = optional(number, 1)
  }))

  validation {
    condition     = alltrue([for name in keys(var.endpoints) : can(regex("^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$", name))])
    error_message = "Each key of `endpoints` must be an endpoint's name: 1 to 63 letters, digits and hyphens, with neither end a hyphen."
  }
  validation {
    condition     = alltrue([for endpoint in values(var.endpoints) : endpoint.max_errors_per_minute >= 0 && endpoint.max_client_errors_per_minute >= 0 && endpoint.max_p99_milliseconds > 0])
    error_message = "The limits of `endpoints` must not be negative, and `max_p99_milliseconds` must be more than 0: every alarm must be able to fall silent and to fire."
  }
  validation {
    condition     = alltrue([for endpoint in values(var.endpoints) : endpoint.evaluation_periods >= 1 && endpoint.evaluation_periods <= 60 && floor(endpoint.evaluation_periods) == endpoint.evaluation_periods])
    error_message = "`evaluation_periods` of `endpoints` must be a whole number of minutes from 1 to 60."
  }
}

variable "repository_name" {
  description = "ECR repository whose scans and findings are recorded and counted."
  type        = string
  default     = "lockstep/model-container"
}

variable "trail_log_group" {
  description = "CloudWatch Logs group that CloudTrail writes to; null where there is none. Without it nobody is told of refused calls, sign-ins, keys and strangers."
  type        = string
  default     = null
}

variable "known_principals" {
  description = "Names of roles that belong: `signers` may use the signing and checkpoint keys, `serving` may change models and endpoints, `deployers` may change both and the keys' policies. `*` stands for anything."
  type = object({
    signers   = list(string)
    serving   = list(string)
    deployers = list(string)
  })
  default = null

  validation {
    condition     = (var.trail_log_group == null) == (var.known_principals == null)
    error_message = "`known_principals` must be given with `trail_log_group`, and only then: without it every principal is unknown."
  }
  validation {
    condition = var.known_principals == null ? true : alltrue([
      for name in concat(var.known_principals.signers, var.known_principals.serving, var.known_principals.deployers) : can(regex("^[A-Za-z0-9_=,.@-]+\\*?$", name))
    ])
    error_message = "`known_principals` must hold names of roles, not ARNs; one `*` may stand at the end, since anything before it says whose role it is."
  }
  validation {
    condition     = var.known_principals == null ? true : length(var.known_principals.signers) > 0 && length(var.known_principals.serving) > 0
    error_message = "`known_principals.signers` and `known_principals.serving` must each name one role at least: else every signature and every deployment is an alarm."
  }
}

variable "dead_letter_queue_name" {
  description = "Queue of what could not be delivered; null where there is none."
  type        = string
  default     = null
}

variable "rule_names" {
  description = "EventBridge rules whose failure to reach a target is an alarm."
  type        = set(string)
  default     = []
}

variable "bucket_names" {
  description = "Buckets whose size the dashboard shows."
  type        = list(string)
  default     = []
}

variable "own_job_log_groups" {
  description = "Whether this deployment makes the two log groups that all of SageMaker's jobs in an account share. One deployment of an account does."
  type        = bool
  default     = true
}

variable "save_queries" {
  description = "Whether the Insights queries are saved. An account on this machine cannot hold them."
  type        = bool
  default     = true
}

variable "limits" {
  description = "The most that is borne before an alarm: refused calls and failed sign-ins in five minutes, throttles and faults of a function in five minutes, seconds that a dead letter waits."
  type = object({
    unauthorised_calls  = optional(number, 5)
    failed_sign_ins     = optional(number, 0)
    throttles           = optional(number, 5)
    faults              = optional(number, 3)
    dead_letter_seconds = optional(number, 3600)
  })
  default = {}

  validation {
    condition     = alltrue([for limit in values(var.limits) : limit >= 0])
    error_message = "`limits` must not be negative: an alarm that always fires is none."
  }
}
