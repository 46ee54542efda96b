variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "environment" {
  description = "The GitHub environment that releases run in; `<environment>-plan` and `<environment>-infrastructure` run Terraform."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.environment))
    error_message = "2 to 20 lower-case letters, digits and hyphens; a wildcard would let other environments in."
  }
}

variable "repository" {
  description = "The GitHub repository: owner@ID/name@ID, as its subject claims have it, or owner/name for one without IDs."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+@[0-9]+/[A-Za-z0-9._-]+@[0-9]+$|^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "Use owner@ID/name@ID or owner/name; a wildcard or one ID of two would let other repositories in."
  }
}

variable "accept_former_subject" {
  description = "Whether the name without IDs is accepted too, while a repository changes over to immutable subjects."
  type        = bool
  default     = false
}

variable "github_provider_arn" {
  description = "The OIDC provider of GitHub, where the account has one; made here when null."
  type        = string
  default     = null
}

variable "state" {
  description = "Where the state of this environment is: bucket, its key in KMS, and the object."
  type        = object({ bucket_arn = string, kms_key_arn = string, object = string })
}

variable "service" {
  description = "Names of the ECS cluster and service, and of the images' repositories under the prefix."
  type        = object({ cluster = string, service = string, repositories = optional(set(string), ["titanic", "lookout-titanic"]) })
}

variable "kms_key_arn" {
  description = "The key of the environment, from the module encryption."
  type        = string
}
