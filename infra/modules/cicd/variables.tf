variable "name" {
  description = "Prefix of everything that is made, and of everything that the apply role may touch: the other modules' `name`."
  type        = string
  default     = "lockstep"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "`name` must be 2 to 20 lower-case letters, digits and hyphens, beginning with a letter: bucket names hold it."
  }
}

variable "repository" {
  description = "Repository on GitHub whose workflows may take on the roles, as OWNER/NAME."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9]([A-Za-z0-9-]{0,37}[A-Za-z0-9])?/[A-Za-z0-9._-]{1,100}$", var.repository))
    error_message = "`repository` must be one repository, as OWNER/NAME, without `*`: a pattern would let repositories in that do not exist yet."
  }
}

variable "repository_ids" {
  description = "Numeric ids of the repository and of its owner. GitHub puts them into the subjects of repositories made or renamed since 15 July 2026, and of older ones that chose so; leave out for one whose subjects hold names alone."
  type = object({
    owner      = string
    repository = string
  })
  default = null

  validation {
    condition     = var.repository_ids == null ? true : can(regex("^[0-9]+$", var.repository_ids.owner)) && can(regex("^[0-9]+$", var.repository_ids.repository))
    error_message = "`repository_ids` must hold two numbers, as `gh api repos/OWNER/NAME --jq '.owner.id, .id'` says them."
  }
}

variable "environment" {
  description = "Environment on GitHub that the apply role is bound to, and the name of the state: protect it there with reviewers and with the main branch alone. The plan role trusts `<environment>-plan`, which needs no reviewers."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", var.environment))
    error_message = "`environment` must be one environment's name, of letters, digits, `.`, `_` and `-`, without `*`: whoever may make an environment could otherwise apply."
  }
}

variable "main_branch" {
  description = "Branch whose workflows may plan without naming an environment, as pull requests' may."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._/-]*$", var.main_branch))
    error_message = "`main_branch` must be one branch's name, without `*`."
  }
}

variable "image_subjects" {
  description = "Who may push images: ends of subjects, `environment:NAME` or `ref:refs/heads/NAME`."
  type        = set(string)
  default     = ["environment:registry"]

  validation {
    condition     = length(var.image_subjects) > 0 && alltrue([for subject in var.image_subjects : can(regex("^(environment:[A-Za-z0-9][A-Za-z0-9._-]*|ref:refs/(heads|tags)/[A-Za-z0-9][A-Za-z0-9._/-]*)$", subject))])
    error_message = "`image_subjects` must hold environment:NAME or ref:refs/heads/NAME, without `*`, and not pull_request: what a pull request builds nobody has reviewed."
  }
}

variable "requests_subjects" {
  description = "Who may upload requests: ends of subjects, `environment:NAME` or `ref:refs/heads/NAME`."
  type        = set(string)
  default     = ["environment:requests"]

  validation {
    condition     = length(var.requests_subjects) > 0 && alltrue([for subject in var.requests_subjects : can(regex("^(environment:[A-Za-z0-9][A-Za-z0-9._-]*|ref:refs/heads/[A-Za-z0-9][A-Za-z0-9._/-]*)$", subject))])
    error_message = "`requests_subjects` must hold environment:NAME or ref:refs/heads/NAME, without `*`, and not pull_request: a request in one is checked, and starts nothing before it is merged."
  }
}

variable "oidc_provider_arn" {
  description = "GitHub's OIDC provider, if the account has one already: it can have one only. Without this, it is made."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_provider_arn == null ? true : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.oidc_provider_arn))
    error_message = "`oidc_provider_arn` must be the ARN of the provider token.actions.githubusercontent.com: whoever can sign another's tokens could take on the roles."
  }
}

variable "repository_name" {
  description = "ECR repository that images are pushed to; without this, `<name>/model-container`."
  type        = string
  default     = null

  validation {
    condition     = var.repository_name == null ? true : can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", var.repository_name))
    error_message = "`repository_name` must be one ECR repository's name, without `*`."
  }
}

variable "administrators" {
  description = "ARNs of the roles or users that may read and write every state, this module's included; without any, whoever applies this."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.administrators : can(regex("^arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:[^*?]+$", arn))])
    error_message = "`administrators` must hold ARNs of roles or users, without `*`: the state tells everything about the account."
  }
}

variable "hosted_zone_ids" {
  description = "Route 53 zones in which the apply role may write records."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.hosted_zone_ids : can(regex("^Z[A-Z0-9]{1,31}$", id))])
    error_message = "`hosted_zone_ids` must hold ids of zones, such as Z0123456789ABCDEFGHIJ, without `*`."
  }
}

variable "protect_data" {
  description = "Whether the apply role is kept from deleting what cannot be made again: buckets, keys, tables, secrets, databases, images, trails and logs. False where an environment is to be destroyed by a workflow."
  type        = bool
  default     = true
}

variable "state_history_days" {
  description = "Days that former versions of the state are kept; the last 20 are kept for longer."
  type        = number
  default     = 365

  validation {
    condition     = var.state_history_days >= 30 && floor(var.state_history_days) == var.state_history_days
    error_message = "`state_history_days` must be a whole number, 30 or more: a state that was overwritten may be missed late."
  }
}

variable "access_log_bucket" {
  description = "Bucket that receives the access log of the state bucket; none without it."
  type        = string
  default     = null
}
