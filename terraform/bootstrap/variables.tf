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

variable "account" {
  description = "What the account is watched by: parts of modules/account, each of which can be turned off. Nothing when null."
  type = object({
    subscribers    = set(string)
    trail          = optional(bool, true)
    config         = optional(bool, true)
    guardduty      = optional(bool, true)
    anomaly_usd    = optional(number, 50)
    retention_days = optional(number, 365)
  })
  default = null
}
