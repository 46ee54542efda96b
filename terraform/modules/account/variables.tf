variable "name" {
  description = "Name of everything made here."
  type        = string
  default     = "account"
}

variable "trail" {
  description = "Whether CloudTrail records who does what."
  type        = bool
  default     = true
}

variable "config" {
  description = "Whether Config records how resources were."
  type        = bool
  default     = true
}

variable "guardduty" {
  description = "Whether GuardDuty looks for attacks."
  type        = bool
  default     = true
}

variable "anomaly_usd" {
  description = "Dollars beyond the usual that somebody is told of; null turns it off."
  type        = number
  default     = 50

  validation {
    condition     = var.anomaly_usd == null || try(var.anomaly_usd > 0, false)
    error_message = "More than nothing."
  }
}

variable "subscribers" {
  description = "Mail addresses that findings and anomalies reach."
  type        = set(string)

  validation {
    condition     = length(var.subscribers) > 0 || !var.guardduty && var.anomaly_usd == null
    error_message = "Somebody must hear of findings and anomalies."
  }
}

variable "retention_days" {
  description = "Days that audit logs are kept, and cannot be removed."
  type        = number
  default     = 365

  validation {
    condition     = var.retention_days >= 90
    error_message = "An attack is often found after months: 90 days at least."
  }
}
