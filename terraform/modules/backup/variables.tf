variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "resource_arns" {
  description = "What is backed up."
  type        = list(string)

  validation {
    condition     = length(var.resource_arns) > 0
    error_message = "Name something."
  }
}

variable "retention_days" {
  description = "How long daily and monthly backups are kept."
  type        = object({ daily = number, monthly = number })
  default     = { daily = 35, monthly = 365 }

  validation {
    condition     = var.retention_days.daily >= 14 && var.retention_days.monthly >= var.retention_days.daily
    error_message = "Daily copies for 14 days or more, monthly ones not for less."
  }
}

variable "locked" {
  description = "Whether nobody, administrators included, can shorten or delete backups before their time."
  type        = bool
  default     = true
}

variable "copy" {
  description = "Region that daily backups are copied to, and the key there; nowhere when null."
  type        = object({ region = string, kms_key_arn = string })
  default     = null
}

variable "topic_arn" {
  description = "Where failures are told."
  type        = string
}

variable "restore_test" {
  description = "Which database, and where its latest backup is restored every week, to see that it can be; nowhere when null."
  type        = object({ database_arn = string, subnet_group = string, security_group_id = string })
  default     = null
}

variable "kms_key_arn" {
  description = "The key of the environment, from the module encryption."
  type        = string
}

variable "permissions_boundary_arn" {
  description = "The most that roles made here may ever do, from the module identity."
  type        = string
}
