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

variable "incident_cooldown_seconds" {
  description = "Seconds after an endpoint was rolled back in which no event rolls it back again."
  type        = number
  default     = 3600
}

variable "bake_seconds" {
  description = "Seconds that a new version serves before the configurations and models before its predecessor are removed."
  type        = number
  default     = 86400
}

variable "runbooks_url" {
  description = "Where docs/runbooks is read: an incident's notification links to a page below it."
  type        = string
  default     = "docs/runbooks"
}

variable "subnet_ids" {
  description = "Subnets of the jobs, models and endpoints, where `network` is null."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups of the jobs, models and endpoints, where `network` is null."
  type        = list(string)
  default     = []
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

variable "drift" {
  description = "How often traffic is compared with its baseline, an EventBridge schedule expression, and how many minutes of it: more than from one time to the next, since captures come late."
  type = object({
    schedule       = optional(string, "rate(1 hour)")
    window_minutes = optional(number, 75)
  })
  default = {}
}

variable "promotes_from" {
  description = "Trust roots of the accounts whose runs may be promoted into this one, each as that account's output `trust_root` has it. This account's own runs always may."
  type        = any
  default     = []
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
  description = "Endpoints that requests may choose: the alarms that roll a deployment back (modules/serving says each), and `autoscaling`, which deploy-endpoint registers once the endpoint serves (modules/pipeline)."
  type = map(object({
    max_5xx_errors       = optional(number, 1)
    max_p99_milliseconds = optional(number, 2000)
    max_4xx_errors       = optional(number)
    max_model_errors     = optional(number)
    evaluation_periods   = optional(number, 1)
    period_seconds       = optional(number, 60)

    autoscaling = optional(object({
      min_capacity             = optional(number, 1)
      max_capacity             = number
      invocations_per_instance = number
      scale_in_cooldown        = optional(number, 300)
      scale_out_cooldown       = optional(number, 60)
    }))
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

variable "forgetters" {
  description = "ARNs of users or roles that may take on the role of `lockstep forget`, which deletes a person's records. Without any there is no such role, and nobody may."
  type        = list(string)
  default     = []
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
}

variable "abort_uploads_after_days" {
  description = "Days after which an upload that was never finished, and a former checkpoint, is dropped; null for never. Longer than a transfer may take: one that is under way would start over. The provider takes most of a minute to see it settle."
  type        = number
  default     = 7
}

variable "key_rotation_days" {
  description = "Days after which KMS replaces the data key's material."
  type        = number
  default     = 365
}

variable "key_deletion_days" {
  description = "Days between a key's being given up and its end."
  type        = number
  default     = 30
}

variable "secret_recovery_days" {
  description = "Days during which a deleted secret can be had back; none where `force_destroy` is set."
  type        = number
  default     = 30
}

variable "hub_token" {
  description = "The Hub's token, sent to Secrets Manager and kept in no plan and no state: `TF_VAR_hub_token`. Set `hub_token_version` with it."
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

variable "reserved_concurrency" {
  description = "Invocations of each function that may run at once, by verb; null reserves none, where the account's limit is too small for it."
  type        = map(number)
  default     = { download-model = 40 }
}

variable "dead_letters" {
  description = "Whether what could not be delivered is kept in a queue. The provider takes half a minute to see one settle."
  type        = bool
  default     = true
}

variable "deployers" {
  description = "ARNs of the roles or users that may write `policy/` and the functions' code; without any, whoever applies this. Name them where plan and apply run as two roles."
  type        = list(string)
  default     = []
}

variable "image_pushers" {
  description = "ARNs that push images; without any, whoever applies this."
  type        = list(string)
  default     = []
}

variable "callers" {
  description = "ARNs of who may take on the role that invokes the endpoints; without any there is no such role."
  type        = set(string)
  default     = []
}

variable "alert_subscribers" {
  description = "Who is told of alarms and incidents, by a name of your own."
  type        = map(object({ protocol = string, endpoint = string }))
  default     = {}
}

variable "intelligent_tiering" {
  description = "Whether models, artifacts and captured traffic move to cheaper tiers when nobody reads them."
  type        = bool
  default     = true
}

variable "replication" {
  description = "Buckets of another region or account that this one's are copied to, by purpose, and the key there; null for none."
  type        = object({ bucket_arns = map(string), kms_key_arn = string })
  default     = null
}

variable "network" {
  description = "The VPC that is made, as modules/network says it; null to stand in `subnet_ids`."
  type = object({
    cidr                 = optional(string, "10.42.0.0/16")
    zones                = optional(list(string))
    interface_endpoints  = optional(set(string), ["application-autoscaling", "ecr.api", "events", "kms", "monitoring", "sagemaker.api", "sagemaker.runtime", "sns", "states"])
    hub_egress           = optional(string, "outside")
    dns_firewall         = optional(bool, true)
    distributed_training = optional(bool, true)
  })
  default = {}
}

variable "observability" {
  description = "Dashboard, alarms, log groups and saved queries, as modules/observability says it; null for none."
  type = object({
    own_job_log_groups = optional(bool, true)
    save_queries       = optional(bool, true)
    limits             = optional(map(number), {})
  })
  default = {}
}

variable "audit" {
  description = "Trail, findings, access logs and questions, as modules/audit says it; null for none."
  type = object({
    trail     = optional(any, {})
    guardduty = optional(any, {})
    siem      = optional(any)
  })
  default = {}
}

variable "access" {
  description = "Roles for people, the guard and its incidents, as modules/access says it; null for none."
  type = object({
    runbook_url          = string
    teams                = optional(any, {})
    operators            = optional(set(string), [])
    auditors             = optional(set(string), [])
    identities           = optional(any, {})
    organization_targets = optional(set(string), [])
  })
  default = null
}

variable "tracking" {
  description = "MLflow, as modules/tracking says it; null for none. It needs `network` and `audit`."
  type = object({
    load_balancer_subnet_ids = list(string)
    people_cidrs             = list(string)
    sign_in                  = any
    machines                 = optional(any)
    host_name                = string
    certificate_arn          = string
    image                    = string
    permissions_boundary_arn = optional(string)
  })
  default = null

  validation {
    condition     = var.tracking == null ? true : var.network != null && var.audit != null
    error_message = "`tracking` needs `network`, where its tasks stand, and `audit`, whose bucket takes its access logs: set both, or `tracking` to null."
  }
}

variable "cicd" {
  description = "Roles for GitHub's workflows and the bucket of Terraform's state, as modules/cicd says it; null for none, or where another environment of the account makes them."
  type = object({
    repository        = string
    repository_ids    = optional(any)
    environment       = string
    oidc_provider_arn = optional(string)
    administrators    = optional(list(string), [])
  })
  default = null
}
