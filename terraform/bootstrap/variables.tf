variable "region" {
  description = "Region of the state."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket, unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{2,61}[a-z0-9]$", var.bucket))
    error_message = "4 to 63 lower-case letters, digits and hyphens."
  }
}
