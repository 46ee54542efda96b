variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "ecs" {
  description = "Cluster and service on ECS, and its load balancer and target groups as metrics name them; none when null."
  type = object({
    cluster               = string
    service               = string
    load_balancer_suffix  = string
    target_group_suffixes = map(string)
  })
  default = null
}

variable "database_identifier" {
  description = "The database instance."
  type        = string
}

variable "subscribers" {
  description = "Mail addresses that alarms and budgets tell. Each has to confirm."
  type        = set(string)

  validation {
    condition     = length(var.subscribers) > 0 && alltrue([for address in var.subscribers : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", address))])
    error_message = "Name at least one mail address, or alarms go nowhere."
  }
}

variable "thresholds" {
  description = "When alarms go off: per cent of CPU, memory and errors, seconds at the 99th percentile, GiB of free storage, connections."
  type = object({
    cpu         = optional(number, 85)
    memory      = optional(number, 85)
    errors      = optional(number, 2)
    latency     = optional(number, 0.5)
    storage     = optional(number, 5)
    connections = optional(number, 70)
  })
  default = {}
}

variable "monthly_budget" {
  description = "What the environment may cost in a month, in US dollars."
  type        = number

  validation {
    condition     = var.monthly_budget > 0
    error_message = "A budget is more than nothing."
  }
}

variable "kms_key_arn" {
  description = "The key of the environment, from the module encryption."
  type        = string
}
