variable "name" {
  description = "Prefix of everything that is made, and of what may be reached through the endpoints."
  type        = string
  default     = "lockstep"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "`name` must be 2 to 20 lower-case letters, digits and hyphens, beginning with a letter: bucket names hold it."
  }
}

variable "cidr" {
  description = "Address space of the VPC, in CIDR notation. A job takes two addresses for each instance, and an endpoint as many again while a deployment replaces it."
  type        = string
  default     = "10.42.0.0/16"

  validation {
    condition = can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.)[0-9.]+/(1[6-9]|20)$", var.cidr)) && (
      try(cidrhost(var.cidr, 0), "") == split("/", var.cidr)[0]
    )
    error_message = "`cidr` must be a network of private addresses (RFC 1918) from /16 to /20, such as 10.42.0.0/16, with no bit set behind its prefix."
  }
}

variable "zones" {
  description = "Availability zones, two or three; without this, the first two of the region. Name them where the account is to last: a region that gains a zone then moves nothing."
  type        = list(string)
  default     = null

  validation {
    condition     = var.zones == null ? true : contains([2, 3], length(var.zones)) && length(distinct(var.zones)) == length(var.zones)
    error_message = "`zones` must name two or three different availability zones: one zone's failure must not stop every run."
  }
}

variable "interface_endpoints" {
  description = "Services reached through an interface endpoint. Each costs by the hour and zone; see the README for who needs which. The default is what the functions call; jobs and endpoints need none."
  type        = set(string)
  default     = ["application-autoscaling", "ecr.api", "events", "kms", "monitoring", "sagemaker.api", "sagemaker.runtime", "sns", "states"]

  validation {
    condition = length(setsubtract(var.interface_endpoints, [
      "application-autoscaling", "ecr.api", "ecr.dkr", "events", "kms", "logs", "monitoring", "sagemaker.api", "sagemaker.runtime", "secretsmanager", "sns", "states",
      "sts", "xray",
    ])) == 0
    error_message = "`interface_endpoints` may hold application-autoscaling, ecr.api, ecr.dkr, events, kms, logs, monitoring, sagemaker.api, sagemaker.runtime, secretsmanager, sns, states, sts and xray: for another, write the policy of its endpoint first (endpoint_policies.tf)."
  }
}

variable "hub_egress" {
  description = "How download-model reaches the Hub: `outside`, as a function outside the VPC, or `inspected`, through subnets of its own behind a firewall that lets through TLS to `hub_hosts` alone."
  type        = string
  default     = "outside"

  validation {
    condition     = contains(["outside", "inspected"], var.hub_egress)
    error_message = "`hub_egress` must be `outside` or `inspected`: there is no way out of this VPC that nobody looks at."
  }
  validation {
    condition     = var.hub_egress != "inspected" || length(setsubtract(["kms", "secretsmanager"], var.interface_endpoints)) == 0
    error_message = "`hub_egress` may be `inspected` only with kms and secretsmanager among `interface_endpoints`: download-model is then inside, the firewall lets it reach the Hub alone, and it could neither sign nor read the Hub's token."
  }
}

variable "hub_hosts" {
  description = "Host names that download-model may reach when `hub_egress` is `inspected`. A leading dot stands for the name and all below it."
  type        = list(string)
  default     = ["huggingface.co", "cdn-lfs.huggingface.co", ".hf.co"]

  validation {
    condition     = length(var.hub_hosts) > 0 && alltrue([for host in var.hub_hosts : can(regex("^\\.?([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", host))])
    error_message = "`hub_hosts` must hold host names such as huggingface.co, or .hf.co for all below it: no scheme, no port, no `*`, and no top-level domain as a whole."
  }
}

variable "dns_firewall" {
  description = "Whether the VPC's resolver answers for AWS's names (and the Hub's, where they are reached from here) alone. Without it, data can leave in the names that are asked for, though no route leads out."
  type        = bool
  default     = true
}

variable "resolvable_domains" {
  description = "Further domains that the resolver answers for, such as `*.example.internal`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for domain in var.resolvable_domains : can(regex("^(\\*\\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9])?\\.)+[a-z]{2,}$", domain))])
    error_message = "`resolvable_domains` must hold domains such as example.internal or *.example.internal; `*` alone would answer for everything: set `dns_firewall` to false if that is meant."
  }
}

variable "distributed_training" {
  description = "Whether the instances of one job may talk to each other. Needed as soon as policy.json lets a request ask for more than one."
  type        = bool
  default     = false
}

variable "bucket_names" {
  description = "Buckets of this account that are reached from inside besides those whose names begin with `name`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for bucket in var.bucket_names : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket))])
    error_message = "`bucket_names` must hold whole names of buckets, without `*`: the endpoint's policy lets through what is named."
  }
}

variable "data_key_arn" {
  description = "KMS key that logs are encrypted with: the pipeline's data key. Its policy must let CloudWatch Logs use it for `/aws/*/<name>-*`."
  type        = string
}

variable "log_retention_days" {
  description = "Days that flow logs and the firewall's logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "`log_retention_days` must be a number of days that CloudWatch Logs knows, such as 90 or 365."
  }
}

variable "flow_log_bucket_arn" {
  description = "Bucket that flow logs go to, with an optional prefix, instead of a log group. Its policy must let delivery.logs.<dns suffix> write."
  type        = string
  default     = null

  validation {
    condition     = var.flow_log_bucket_arn == null ? true : can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$", var.flow_log_bucket_arn))
    error_message = "`flow_log_bucket_arn` must be a bucket's ARN, with a prefix behind it or without, or null for a log group."
  }
}

variable "permissions_boundary_arn" {
  description = "Boundary of the flow logs' role; none without it."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the firewall refuses to be deleted or moved. Only with `hub_egress` `inspected`."
  type        = bool
  default     = true
}
