variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "repositories" {
  description = "The images of the environment."
  type        = set(string)
  default     = ["titanic", "lookout-titanic"]
}

variable "kept_images" {
  description = "How many images are kept. A release is three: one per architecture, and the one of both."
  type        = number
  default     = 150

  validation {
    condition     = var.kept_images >= 30
    error_message = "Keep at least 30, ten releases, or a rollback may find nothing."
  }
}

variable "kms_key_arn" {
  description = "The key of the environment, from the module encryption."
  type        = string
}
