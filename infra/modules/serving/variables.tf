variable "name" {
  description = "Prefix of everything that is made."
  type        = string
  default     = "lockstep"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "`name` must be 2 to 20 lower-case letters, digits and hyphens, beginning with a letter: bucket names hold it."
  }
}

variable "work_bucket_arn" {
  description = "Bucket that endpoints read `artifacts/` from and write `capture/` to."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+$", var.work_bucket_arn))
    error_message = "`work_bucket_arn` must be a bucket's ARN, without a path: take it from pipeline's outputs."
  }
}

variable "data_key_arn" {
  description = "Key that artifacts, captured traffic and volumes are encrypted with."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.data_key_arn))
    error_message = "`data_key_arn` must be a key's ARN, and no alias: IAM compares it as it is."
  }
}

variable "repository_arn" {
  description = "ECR repository that the container's images come from."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/[^*]+$", var.repository_arn))
    error_message = "`repository_arn` must be one repository's ARN, without a wildcard: an endpoint pulls from there alone."
  }
}

variable "subnet_ids" {
  description = "Subnets of the models and endpoints."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "`subnet_ids` must name one subnet at least: endpoints run inside a VPC."
  }
}

variable "security_group_ids" {
  description = "Security groups of the models and endpoints."
  type        = list(string)

  validation {
    condition     = length(var.security_group_ids) > 0
    error_message = "`security_group_ids` must name one security group at least: endpoints run inside a VPC."
  }
}

variable "permissions_boundary_arn" {
  description = "Boundary of the endpoints' and the caller's role; null for none."
  type        = string
  default     = null
}

variable "endpoints" {
  description = <<-EOT
    Endpoints that requests may choose.
    `max_5xx_errors` (in a period) and `max_p99_milliseconds` roll a deployment back when they are reached or exceeded.
    `max_4xx_errors` and `max_model_errors` (in a period), when given, tell somebody when they are exceeded.
  EOT

  type = map(object({
    max_5xx_errors       = optional(number, 1)
    max_p99_milliseconds = optional(number, 2000)
    max_4xx_errors       = optional(number)
    max_model_errors     = optional(number)
    evaluation_periods   = optional(number, 1)
    period_seconds       = optional(number, 60)
  }))

  validation {
    condition     = length(var.endpoints) > 0
    error_message = "`endpoints` must declare one endpoint at least: without any, nothing could be deployed or called."
  }
  validation {
    condition     = alltrue([for name in keys(var.endpoints) : can(regex("^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$", name))])
    error_message = "Each key of `endpoints` must be an endpoint's name: 1 to 63 letters, digits and hyphens, with neither end a hyphen."
  }
  validation {
    condition     = length(distinct([for name in keys(var.endpoints) : lower(name)])) == length(var.endpoints)
    error_message = "The keys of `endpoints` must differ in more than case: ARNs hold them in lower case, and a grant for one would reach the other."
  }
  validation {
    condition     = alltrue([for endpoint in values(var.endpoints) : endpoint.max_5xx_errors >= 1 && endpoint.max_p99_milliseconds > 0])
    error_message = "In `endpoints`, `max_5xx_errors` must be 1 or more and `max_p99_milliseconds` positive: a guardrail that always fires rolls back every deployment."
  }
  validation {
    condition     = alltrue(flatten([for endpoint in values(var.endpoints) : [for limit in [endpoint.max_4xx_errors, endpoint.max_model_errors] : limit == null ? true : limit >= 0]]))
    error_message = "In `endpoints`, `max_4xx_errors` and `max_model_errors` must be 0 or more, or left out."
  }
  validation {
    condition = alltrue([
      for endpoint in values(var.endpoints) :
      (contains([10, 20, 30], endpoint.period_seconds) || (endpoint.period_seconds >= 60 && endpoint.period_seconds % 60 == 0)) && endpoint.evaluation_periods >= 1
    ])
    error_message = "In `endpoints`, `period_seconds` must be 10, 20, 30 or a multiple of 60, and `evaluation_periods` 1 or more: CloudWatch knows no other."
  }
}

variable "variant_name" {
  description = "Production variant that is watched: the one that deploy-endpoint makes."
  type        = string
  default     = "primary"
}

variable "topic_arn" {
  description = "Topic that the alarms notify; null for none. Its policy and its key's must let cloudwatch.amazonaws.com publish."
  type        = string
  default     = null
}

variable "callers" {
  description = "ARNs of the roles, users or accounts (`...:root`) that may take on the caller role; without any there is no such role."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.callers : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(root|(role|user)/[^*?]+)$", arn))])
    error_message = "Each of `callers` must be the ARN of a role, a user or an account's root, without a wildcard: name who calls."
  }
}

variable "vpc_endpoint_id" {
  description = "Interface endpoint of `sagemaker.runtime` that the caller role is good through; null for from anywhere."
  type        = string
  default     = null

  validation {
    condition     = var.vpc_endpoint_id == null ? true : can(regex("^vpce-[0-9a-f]+$", var.vpc_endpoint_id))
    error_message = "`vpc_endpoint_id` must be a VPC endpoint's id, such as vpce-0123456789abcdef0, or null."
  }
}

variable "response_streams" {
  description = "Whether callers may have their answers streamed, too."
  type        = bool
  default     = false
}

variable "nvme_families" {
  description = "Instance families with local NVMe, which encrypt it themselves and refuse a volume key: `NVME_FAMILIES` of shared/contract."
  type        = set(string)
  default = [
    "c5d", "g4dn", "g5", "g6", "g6e", "i3", "i3en", "m5d", "m6id", "p3dn", "p4d", "p4de", "p5", "p5e",
    "p5en", "r5d", "trn1", "trn1n",
  ]

  validation {
    condition     = alltrue([for family in var.nvme_families : can(regex("^[a-z][a-z0-9]*$", family))])
    error_message = "Each of `nvme_families` must be a family such as g5, without `ml.`, size or wildcard."
  }
}
