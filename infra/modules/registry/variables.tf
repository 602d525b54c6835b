variable "repository_name" {
  description = "Repository of the container's images."
  type        = string
  default     = "lockstep/model-container"
}

variable "kms_key_arn" {
  description = "Key that the images are encrypted with."
  type        = string
}

variable "pullers" {
  description = "Values of `aws:PrincipalArn` that may pull: what SageMaker runs as, and the functions that look at manifests."
  type        = list(string)

  validation {
    condition     = length(var.pullers) > 0
    error_message = "`pullers` must name one principal at least: an image that nobody may pull cannot run."
  }
}

variable "pushers" {
  description = "ARNs that push images and may therefore read them back; without any, whoever applies this."
  type        = list(string)
  default     = []
}

variable "force_delete" {
  description = "Whether destroying the repository may delete its images."
  type        = bool
  default     = false
}
