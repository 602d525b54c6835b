variable "name" {
  description = "Prefix of every name here: that of the infrastructure whose copies these are."
  type        = string
  default     = "lockstep"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "`name` must be 2 to 21 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "replication_role_arn" {
  description = "Role that S3 copies with, of the account that is copied: `<name>-replication` there."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*?]+$", var.replication_role_arn))
    error_message = "`replication_role_arn` must be a role's ARN, without a wildcard: whatever fits it writes copies."
  }
}

variable "evidence_retention_days" {
  description = "Days during which a copy of evidence cannot be deleted: as many as where it comes from."
  type        = number
  default     = 2557

  validation {
    condition     = var.evidence_retention_days >= 1 && floor(var.evidence_retention_days) == var.evidence_retention_days
    error_message = "`evidence_retention_days` must be a whole number of days, at least 1."
  }
}

variable "former_days" {
  description = "Days after which a former version of a dataset or baseline is deleted: what was forgotten where it comes from, and rewritten, is gone here by then without anybody's doing."
  type        = number
  default     = 30

  validation {
    condition     = var.former_days >= 1 && floor(var.former_days) == var.former_days
    error_message = "`former_days` must be a whole number of days, at least 1."
  }
}

variable "forgetters" {
  description = "ARNs of the roles that `lockstep forget --bucket` runs under here; without any, deletions wait for `former_days`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.forgetters : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*?]+$", arn))])
    error_message = "Each of `forgetters` must be a role's ARN, without a wildcard."
  }
}

variable "key_deletion_days" {
  description = "Days until the key is gone once its deletion was asked for."
  type        = number
  default     = 30

  validation {
    condition     = var.key_deletion_days >= 7 && var.key_deletion_days <= 30
    error_message = "`key_deletion_days` must be 7 to 30."
  }
}

variable "force_destroy" {
  description = "Whether destroying this deletes the copies: for an environment that may be emptied."
  type        = bool
  default     = false
}
