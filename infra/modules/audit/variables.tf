variable "name" {
  description = "Prefix of everything that is made, and of the functions that are audited."
  type        = string
  default     = "lockstep"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "`name` must be 2 to 20 lower-case letters, digits and hyphens, beginning with a letter: give the pipeline's."
  }
}

variable "topic_arn" {
  description = "SNS topic that GuardDuty's findings and a SIEM that falls behind are told to. Its policy, and the policy of the key that encrypts it, must let events.amazonaws.com and cloudwatch.amazonaws.com publish."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:sns:[^:]+:[0-9]{12}:[^:]+$", var.topic_arn))
    error_message = "`topic_arn` must be the ARN of an SNS topic: a finding that nobody hears of is none."
  }
}

variable "buckets" {
  description = "Names of the pipeline's buckets. What is done to their objects is recorded."
  type = object({
    intake   = string
    work     = string
    evidence = string
  })
}

variable "table_name" {
  description = "Coordination table, whose items' reads and writes are recorded: task tokens lie there. Null for none; each record is billed."
  type        = string
  default     = null
}

variable "state_machine_arn" {
  description = "The pipeline. How its executions end is exported."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:states:[^:]+:[0-9]{12}:stateMachine:[^:]+$", var.state_machine_arn))
    error_message = "`state_machine_arn` must be the ARN of a state machine."
  }
}

variable "known_roles" {
  description = "Names of the roles that change models and endpoints by right. A saved query shows the changes of all others."
  type        = list(string)

  validation {
    condition     = length(var.known_roles) > 0 && alltrue([for name in var.known_roles : can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", name))])
    error_message = "`known_roles` must hold names of roles, not ARNs, and one at least: those that deploy-endpoint, approve-package and seal-run run as."
  }
}

variable "trail" {
  description = "How long the trail stays: locked for `locked_days`, deleted after `kept_days`, in an archive from `archived_after_days` on. In mode COMPLIANCE nobody can shorten the lock, root included. `insights` watch for unusual rates of calls and are billed by event."
  type = object({
    lock_mode           = optional(string, "GOVERNANCE")
    locked_days         = optional(number, 365)
    archived_after_days = optional(number, 90)
    kept_days           = optional(number, 2557)
    insights            = optional(set(string), [])
  })
  default = {}

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.trail.lock_mode)
    error_message = "`trail.lock_mode` must be GOVERNANCE or COMPLIANCE: a trail that can be edited proves nothing."
  }
  validation {
    condition     = var.trail.locked_days >= 1 && floor(var.trail.locked_days) == var.trail.locked_days
    error_message = "`trail.locked_days` must be a whole number of days, 1 or more."
  }
  validation {
    condition     = var.trail.kept_days >= var.trail.locked_days && var.trail.archived_after_days < var.trail.kept_days
    error_message = "`trail.kept_days` must not be less than `trail.locked_days`, and more than `trail.archived_after_days`: nothing can be deleted while it is locked."
  }
  validation {
    condition     = length(setsubtract(var.trail.insights, ["ApiCallRateInsight", "ApiErrorRateInsight"])) == 0
    error_message = "`trail.insights` must be of ApiCallRateInsight and ApiErrorRateInsight: CloudTrail has no other."
  }
}

variable "log_retention_days" {
  description = "Days that the trail stays in CloudWatch Logs, for metric filters and quick questions. The bucket keeps it for longer."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "`log_retention_days` must be a number of days that CloudWatch Logs knows, such as 30, 90, 180 or 365."
  }
}

variable "access_log_days" {
  description = "Days that server access logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = var.access_log_days >= 90 && floor(var.access_log_days) == var.access_log_days
    error_message = "`access_log_days` must be a whole number of days, 90 or more: who read what is asked months later."
  }
}

variable "logged_bucket_arns" {
  description = "ARNs of further buckets whose access logs go to the same bucket: that of Terraform's state."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.logged_bucket_arns : can(regex("^arn:[^:]+:s3:::[^/*]+$", arn))])
    error_message = "Each of `logged_bucket_arns` must be a bucket's ARN, without path or wildcard: whoever is named may have logs delivered."
  }
}

variable "access_log_statements" {
  description = "Statements that others need who log to the bucket of access logs: `tracking`'s output of that name."
  type        = any
  default     = []
}

variable "guardduty" {
  description = "`detector`: whether to make the account's detector in this region (false where an organization does). `features` are switched on. Findings from `min_severity` on (1 to 10) are notified."
  type = object({
    detector     = optional(bool, true)
    features     = optional(set(string), ["S3_DATA_EVENTS", "LAMBDA_NETWORK_LOGS", "RDS_LOGIN_EVENTS"])
    min_severity = optional(number, 4)
  })
  default = {}

  validation {
    condition     = length(setsubtract(var.guardduty.features, ["S3_DATA_EVENTS", "LAMBDA_NETWORK_LOGS", "RDS_LOGIN_EVENTS", "EBS_MALWARE_PROTECTION", "EKS_AUDIT_LOGS"])) == 0
    error_message = "`guardduty.features` must be of S3_DATA_EVENTS, LAMBDA_NETWORK_LOGS, RDS_LOGIN_EVENTS, EBS_MALWARE_PROTECTION and EKS_AUDIT_LOGS."
  }
  validation {
    condition     = contains(var.guardduty.features, "S3_DATA_EVENTS")
    error_message = "`guardduty.features` must hold S3_DATA_EVENTS: models and evidence lie in S3."
  }
  validation {
    condition     = var.guardduty.min_severity >= 1 && var.guardduty.min_severity <= 7
    error_message = "`guardduty.min_severity` must be from 1 to 7: high and critical findings, from 7 on, are always notified."
  }
}

variable "flow_logs" {
  description = "Where VPC flow logs lie in S3, in the default format, for a table of them: bucket, and a prefix that ends in `/` or is empty. Null where they are in CloudWatch Logs alone."
  type = object({
    bucket = string
    prefix = optional(string, "")
  })
  default = null

  validation {
    condition     = var.flow_logs == null ? true : var.flow_logs.prefix == "" || endswith(var.flow_logs.prefix, "/")
    error_message = "`flow_logs.prefix` must be empty or end in `/`."
  }
}

variable "query_regions" {
  description = "Regions that the table of the trail reads; without any, the one that this is applied in. The trail itself records all."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.query_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region))])
    error_message = "`query_regions` must hold regions, such as us-east-1."
  }
}

variable "athena" {
  description = "The most that one query may read, in bytes, and the days that its result is kept."
  type = object({
    max_bytes   = optional(number, 107374182400)
    result_days = optional(number, 30)
  })
  default = {}

  validation {
    condition     = var.athena.max_bytes >= 10485760
    error_message = "`athena.max_bytes` must be 10485760 or more: Athena takes no lower limit."
  }
  validation {
    condition     = var.athena.result_days >= 1
    error_message = "`athena.result_days` must be 1 or more."
  }
}

variable "siem" {
  description = <<-EOT
    Where the trail, other logs, findings and verdicts are sent besides: null for nowhere.
    `http`: to an https endpoint, with the access key that the secret `secret_arn` holds (JSON with `api_key`), encrypted with `secret_key_arn` if not with AWS's own key.
    `bucket`: to a bucket, in a log archive's account too, encrypted with `key_arn` there. Its policy, and its key's, must admit the output `siem_role_arn`.
    `buffer_seconds` is the longest that a record waits.
  EOT
  type = object({
    kind           = string
    url            = optional(string)
    secret_arn     = optional(string)
    secret_key_arn = optional(string)
    bucket_arn     = optional(string)
    key_arn        = optional(string)
    buffer_seconds = optional(number, 60)
  })
  default = null

  validation {
    condition     = var.siem == null ? true : contains(["http", "bucket"], var.siem.kind)
    error_message = "`siem.kind` must be http or bucket."
  }
  validation {
    condition     = try(var.siem.kind, "") != "http" ? true : can(regex("^https://[^/]+", var.siem.url)) && can(regex("^arn:[^:]+:secretsmanager:[^:]+:[0-9]{12}:secret:.+$", var.siem.secret_arn))
    error_message = "`siem` of kind http needs `url`, with https, and `secret_arn`, a secret's ARN: the key itself has no place here, since Terraform's state would hold it."
  }
  validation {
    condition     = try(var.siem.kind, "") != "bucket" ? true : can(regex("^arn:[^:]+:s3:::[^/]+$", var.siem.bucket_arn)) && can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.siem.key_arn))
    error_message = "`siem` of kind bucket needs `bucket_arn` and `key_arn`, the ARNs of a bucket and of the KMS key that encrypts it."
  }
  validation {
    condition     = var.siem == null ? true : var.siem.buffer_seconds >= 60 && var.siem.buffer_seconds <= 900
    error_message = "`siem.buffer_seconds` must be from 60 to 900."
  }
}

variable "siem_log_groups" {
  description = "Log groups that are exported besides the trail's, by any key: flow logs, the functions' and the state machine's. CloudWatch Logs takes two subscriptions for each."
  type        = map(string)
  default     = {}
}

variable "force_destroy" {
  description = "Whether destroying this may empty its buckets. What is locked in mode COMPLIANCE stays all the same."
  type        = bool
  default     = false
}
