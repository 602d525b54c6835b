variable "name" {
  description = "Prefix of everything that is made."
  type        = string
  default     = "lockstep"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "`name` must be 2 to 20 lower-case letters, digits and hyphens, beginning with a letter: bucket names hold it."
  }
}

# Where it is

variable "vpc_id" {
  description = "VPC that everything is in."
  type        = string

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "`vpc_id` must be a VPC's id, vpc-...: pass the network module's `vpc_id`."
  }
}

variable "subnet_ids" {
  description = "Private subnets, in two zones at least, of the tasks and the database."
  type        = list(string)

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2
    error_message = "`subnet_ids` must name two subnets at least, in different zones: a database without a second zone has nowhere to fail over to."
  }
}

variable "load_balancer_subnet_ids" {
  description = "Subnets of the load balancer: private ones with a way out to Cognito (through a NAT gateway or an inspected egress), since it is the load balancer that redeems people's sign-ins; public ones if `internal` is false."
  type        = list(string)

  validation {
    condition     = length(distinct(var.load_balancer_subnet_ids)) >= 2
    error_message = "`load_balancer_subnet_ids` must name two subnets at least, in different zones: a load balancer takes no fewer."
  }
}

variable "vpc_endpoint_security_group_id" {
  description = "Security group of the VPC's interface endpoints. The tasks are let into it."
  type        = string

  validation {
    condition     = startswith(var.vpc_endpoint_security_group_id, "sg-")
    error_message = "`vpc_endpoint_security_group_id` must be a security group's id, sg-...: pass the network module's `security_group_ids.vpc_endpoints`."
  }
}

# Who gets in

variable "internal" {
  description = "Whether the load balancer has private addresses only."
  type        = bool
  default     = true

  validation {
    condition     = var.internal || var.web_acl_arn != null
    error_message = "`internal` may be false only with a `web_acl_arn`: what the internet reaches must be filtered before it reaches a sign-in."
  }
}

variable "people_cidrs" {
  description = "IPv4 ranges that people come from: an office, a VPN."
  type        = list(string)

  validation {
    condition     = length(var.people_cidrs) > 0 && alltrue([for cidr in var.people_cidrs : can(cidrhost(cidr, 0)) && !strcontains(cidr, ":")])
    error_message = "`people_cidrs` must name one IPv4 range at least, such as 10.8.0.0/16: nobody could sign in otherwise."
  }
  validation {
    condition     = !var.internal || !anytrue([for cidr in var.people_cidrs : endswith(cidr, "/0")])
    error_message = "`people_cidrs` may not hold everybody (/0) while `internal` is true: name the ranges that people come from."
  }
}

variable "sign_in" {
  description = "Cognito user pool that people sign in with. Its app client is named by id and not made here: whoever makes one with Terraform has its secret in the state. `session_seconds` is how long a sign-in holds; `egress_cidrs` is where the load balancer may reach Cognito, which publishes no ranges."
  type = object({
    user_pool_arn       = string
    user_pool_client_id = string
    user_pool_domain    = string
    session_seconds     = optional(number, 28800)
    egress_cidrs        = optional(list(string), ["0.0.0.0/0"])
  })

  validation {
    condition     = can(regex("^arn:[a-z-]+:cognito-idp:[a-z0-9-]+:[0-9]{12}:userpool/[A-Za-z0-9_-]+$", var.sign_in.user_pool_arn))
    error_message = "`sign_in.user_pool_arn` must be a Cognito user pool's ARN, arn:<partition>:cognito-idp:<region>:<account>:userpool/<id>."
  }
  validation {
    condition     = can(regex("^[a-z0-9]{20,32}$", var.sign_in.user_pool_client_id))
    error_message = "`sign_in.user_pool_client_id` must be the app client's id, 20 to 32 lower-case letters and digits. It is not the client's secret, which is longer: that stays in Cognito, where the load balancer's service fetches it."
  }
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", var.sign_in.user_pool_domain))
    error_message = "`sign_in.user_pool_domain` must be the user pool's domain prefix, or its whole custom domain, without https://."
  }
  validation {
    condition     = var.sign_in.session_seconds >= 300 && var.sign_in.session_seconds <= 86400
    error_message = "`sign_in.session_seconds` must be from 300 to 86400: a session that outlives a day outlives the withdrawal of an account."
  }
  validation {
    condition     = length(var.sign_in.egress_cidrs) > 0 && alltrue([for cidr in var.sign_in.egress_cidrs : can(cidrhost(cidr, 0))])
    error_message = "`sign_in.egress_cidrs` must name one IPv4 range at least: without a way to Cognito, every sign-in ends in an error 500."
  }
}

variable "machines" {
  description = "Programs that write runs, with a client certificate. `ca_bundle` is where the certificates (public, PEM) of the authority that signs theirs lie in S3, by version; `revocation_lists` likewise; `security_group_ids` are the programs' groups, by any name. Null: none."
  type = object({
    ca_bundle          = object({ bucket = string, key = string, version = string })
    revocation_lists   = optional(list(object({ bucket = string, key = string, version = string })), [])
    security_group_ids = map(string)
  })
  default = null

  validation {
    condition     = var.machines == null ? true : length(var.machines.security_group_ids) > 0 && alltrue([for id in values(var.machines.security_group_ids) : startswith(id, "sg-")])
    error_message = "`machines.security_group_ids` must name one security group (sg-...) at least: a certificate alone, from anywhere, is not enough. Leave `machines` null if no program writes runs."
  }
  validation {
    condition     = var.machines == null ? true : alltrue([for object in concat([var.machines.ca_bundle], var.machines.revocation_lists) : object.version != ""])
    error_message = "`machines` must name each S3 object by its version: whoever can write a new one could otherwise let himself in."
  }
}

variable "web_acl_arn" {
  description = "Regional WAF web ACL that the load balancer is put behind; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.web_acl_arn == null ? true : can(regex("^arn:[a-z-]+:wafv2:[a-z0-9-]+:[0-9]{12}:regional/webacl/", var.web_acl_arn))
    error_message = "`web_acl_arn` must be a regional web ACL's ARN, arn:<partition>:wafv2:<region>:<account>:regional/webacl/...: one for CloudFront cannot be associated."
  }
}

# Under which name

variable "host_name" {
  description = "DNS name that people and programs use; the certificate must cover it. Requests for another name are answered with 404."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$", var.host_name))
    error_message = "`host_name` must be a whole DNS name in lower case, such as tracking.example.com, without scheme or port."
  }
}

variable "zone_id" {
  description = "Route 53 zone in which `host_name` is made to mean the load balancer; null if that is done elsewhere."
  type        = string
  default     = null
}

variable "certificate_arn" {
  description = "ACM certificate of `host_name`, in this region."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/", var.certificate_arn))
    error_message = "`certificate_arn` must be an ACM certificate's ARN, arn:<partition>:acm:<region>:<account>:certificate/...: there is no listener without TLS."
  }
}

variable "tls_policy" {
  description = "Security policy of the listeners: TLS 1.3, and 1.2 with forward secrecy and authenticated ciphers only."
  type        = string
  default     = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"

  validation {
    condition     = can(regex("^ELBSecurityPolicy-TLS13-1-(3|2-Res)(-FIPS)?(-PQ)?-20[0-9]{2}-[0-9]{2}$", var.tls_policy))
    error_message = "`tls_policy` must be an ELBSecurityPolicy-TLS13-1-3-... or ELBSecurityPolicy-TLS13-1-2-Res-...: the others allow TLS 1.1, or ciphers without authentication."
  }
}

# What runs

variable "image" {
  description = "MLflow's image, by digest, in a private ECR repository: tasks have no way to another registry. The README says what it must hold."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "`image` must end in @sha256: and 64 hex digits: a tag can be moved to what nobody has scanned."
  }
  validation {
    condition     = can(regex("^[0-9]{12}\\.dkr\\.ecr(-fips)?\\.[a-z0-9-]+\\.[a-z.]+/[a-z0-9]([a-z0-9._/-]*[a-z0-9])?@sha256:[^:]+$", var.image))
    error_message = "`image` must be in a private ECR repository, without a tag: <account>.dkr.ecr.<region>.<suffix>/<repository>@sha256:...; copy it there first."
  }
}

variable "architecture" {
  description = "Instruction set that the image was built for."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "`architecture` must be x86_64 or arm64: Fargate has no other."
  }
}

variable "container_user" {
  description = "User and group, by number, that the server runs as."
  type        = string
  default     = "10001:10001"

  validation {
    condition     = can(regex("^[1-9][0-9]{2,4}:[1-9][0-9]{2,4}$", var.container_user))
    error_message = "`container_user` must be <user>:<group> in numbers from 100, such as 10001:10001: neither may be root's, and a name means what the image says."
  }
}

variable "database_ca_path" {
  description = "Where the image holds the certificates that RDS signs with (its global bundle, PEM)."
  type        = string
  default     = "/etc/ssl/certs/rds-global-bundle.pem"

  validation {
    condition     = startswith(var.database_ca_path, "/") && !startswith(var.database_ca_path, "/tmp/")
    error_message = "`database_ca_path` must be an absolute path in the image, outside /tmp, which is empty when a task starts."
  }
}

variable "cpu_units" {
  description = "Processor share of a task, in units of 1/1024."
  type        = number
  default     = 1024

  validation {
    condition     = contains([512, 1024, 2048, 4096], var.cpu_units)
    error_message = "`cpu_units` must be 512, 1024, 2048 or 4096: Fargate takes no other, and the server does not start in less."
  }
}

variable "memory_mib" {
  description = "Memory of a task in MiB."
  type        = number
  default     = 3072

  validation {
    condition     = var.memory_mib % 1024 == 0 && var.memory_mib >= 2 * var.cpu_units && var.memory_mib <= min(8 * var.cpu_units, 30720)
    error_message = "`memory_mib` must be a multiple of 1024, from twice to eight times `cpu_units`, 30720 at most: Fargate takes no other pairs."
  }
}

variable "scratch_gib" {
  description = "Size in GiB of a task's ephemeral storage; an artefact passes through it on its way to S3."
  type        = number
  default     = 30

  validation {
    condition     = var.scratch_gib >= 21 && var.scratch_gib <= 200 && floor(var.scratch_gib) == var.scratch_gib
    error_message = "`scratch_gib` must be a whole number from 21 to 200: Fargate takes no other."
  }
}

variable "workers" {
  description = "Server processes in a task. Two, with what starts them, take some 820 MiB before they have any work."
  type        = number
  default     = 2

  validation {
    condition     = var.workers >= 1 && var.workers <= 16 && floor(var.workers) == var.workers
    error_message = "`workers` must be a whole number from 1 to 16."
  }
}

variable "tasks" {
  description = "Fewest and most tasks, and the average processor use in percent that decides between them."
  type = object({
    min         = optional(number, 2)
    max         = optional(number, 4)
    cpu_percent = optional(number, 60)
  })
  default = {}

  validation {
    condition     = var.tasks.min >= 1 && var.tasks.max >= var.tasks.min && var.tasks.max <= 20
    error_message = "`tasks` must have 1 <= min <= max <= 20: without a task nothing answers, and every task holds database connections."
  }
  validation {
    condition     = var.tasks.cpu_percent >= 20 && var.tasks.cpu_percent <= 90
    error_message = "`tasks.cpu_percent` must be from 20 to 90."
  }
}

# The database

variable "database" {
  description = "PostgreSQL: major version, instance class, storage in GiB and how far it may grow by itself, whether a standby is kept in a second zone, days of backups, windows (UTC)."
  type = object({
    major_version      = optional(string, "17")
    instance_class     = optional(string, "db.t4g.small")
    storage_gib        = optional(number, 20)
    max_storage_gib    = optional(number, 100)
    multi_az           = optional(bool, true)
    backup_days        = optional(number, 14)
    backup_window      = optional(string, "03:00-04:00")
    maintenance_window = optional(string, "sun:04:30-sun:05:30")
  })
  default = {}

  validation {
    condition     = can(regex("^1[5-9]$", var.database.major_version))
    error_message = "`database.major_version` must be a major version alone, 15 or later: minor ones are installed by AWS, and naming one would undo that."
  }
  validation {
    condition     = startswith(var.database.instance_class, "db.")
    error_message = "`database.instance_class` must be an RDS instance class, db.<family>.<size>."
  }
  validation {
    condition     = var.database.storage_gib >= 20 && var.database.max_storage_gib > var.database.storage_gib
    error_message = "`database.storage_gib` must be 20 or more, and `database.max_storage_gib` more than that: a database that cannot grow stops when it is full."
  }
  validation {
    condition     = var.database.backup_days >= 7 && var.database.backup_days <= 35
    error_message = "`database.backup_days` must be from 7 to 35: a fault that is found after a week must still be undone, and RDS keeps no more."
  }
}

# What it leaves and what it says

variable "data_key_arn" {
  description = "KMS key that everything at rest is encrypted with: the pipeline's data key. Its policy needs the statements of the output `data_key_statements`."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.data_key_arn))
    error_message = "`data_key_arn` must be a KMS key's ARN, arn:<partition>:kms:<region>:<account>:key/...: an alias can be pointed elsewhere, and Fargate takes none."
  }
}

variable "access_log_bucket" {
  description = "Bucket that S3's and the load balancer's access logs go to: the audit module's. Its policy needs the statements of the output `access_log_statements`."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.access_log_bucket))
    error_message = "`access_log_bucket` must be a bucket's name: pass the audit module's `access_log_bucket`."
  }
}

variable "topic_arn" {
  description = "SNS topic that alarms notify when they fire and when they clear."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:", var.topic_arn))
    error_message = "`topic_arn` must be an SNS topic's ARN, arn:<partition>:sns:<region>:<account>:<name>: an alarm that tells nobody is none."
  }
}

variable "thresholds" {
  description = "Where alarms fire: processor and memory use in percent (for a quarter of an hour), free storage in GiB, database connections, answers with 5xx in five minutes, failed sign-ins and refused certificates in five minutes."
  type = object({
    service_cpu_percent    = optional(number, 85)
    service_memory_percent = optional(number, 85)
    database_cpu_percent   = optional(number, 80)
    database_free_gib      = optional(number, 5)
    database_connections   = optional(number, 120)
    load_balancer_5xx      = optional(number, 10)
    server_5xx             = optional(number, 10)
    sign_in_errors         = optional(number, 5)
    refused_certificates   = optional(number, 20)
  })
  default = {}

  validation {
    condition     = alltrue([for percent in [var.thresholds.service_cpu_percent, var.thresholds.service_memory_percent, var.thresholds.database_cpu_percent] : percent > 0 && percent < 100])
    error_message = "`thresholds` in percent must be between 0 and 100: an alarm at 100 never fires."
  }
  validation {
    condition     = alltrue([for count in [var.thresholds.database_free_gib, var.thresholds.database_connections, var.thresholds.load_balancer_5xx, var.thresholds.server_5xx, var.thresholds.sign_in_errors, var.thresholds.refused_certificates] : count > 0])
    error_message = "`thresholds` must be above 0."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "`log_retention_days` must be a number of days that CloudWatch Logs knows, 30 or more, such as 90 or 365; without end is not one."
  }
}

variable "former_versions_days" {
  description = "Days that an artefact's former version is kept after it was written over."
  type        = number
  default     = 90

  validation {
    condition     = var.former_versions_days >= 1 && floor(var.former_versions_days) == var.former_versions_days
    error_message = "`former_versions_days` must be a whole number of days, 1 or more."
  }
}

variable "permissions_boundary_arn" {
  description = "Policy that bounds the module's roles; null for none."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the database and the load balancer refuse to be deleted."
  type        = bool
  default     = true
}

variable "force_destroy" {
  description = "Whether destroying this may empty the bucket, and leave neither snapshot nor backups of the database."
  type        = bool
  default     = false

  validation {
    condition     = !(var.force_destroy && var.deletion_protection)
    error_message = "`force_destroy` and `deletion_protection` contradict each other: set `deletion_protection` to false to give up the data."
  }
}
