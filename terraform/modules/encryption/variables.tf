variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "deletion_window_days" {
  description = "How long a deleted key can be called back. Whatever it encrypts is gone afterwards."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "AWS accepts 7 to 30 days."
  }
}

variable "copy_region" {
  description = "Region that backups are copied to, which gets a key too; none when null."
  type        = string
  default     = null
}
