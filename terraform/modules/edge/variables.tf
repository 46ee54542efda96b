variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Public subnets, in at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "A load balancer wants two zones."
  }
}

variable "hostname" {
  description = "Name that clients use, such as api.example.com."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.hostname))
    error_message = "Use a full host name such as api.example.com."
  }
}

variable "zone_id" {
  description = "The Route 53 zone that the name is in."
  type        = string
}

variable "container_port" {
  description = "Port of the service."
  type        = number
  default     = 8080
}

variable "test_cidrs" {
  description = "Who may try the next version on port 8443 before clients get it. Nobody when empty."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.test_cidrs, "0.0.0.0/0") && alltrue([for cidr in var.test_cidrs : can(cidrnetmask(cidr))])
    error_message = "Name networks, not the whole internet."
  }
}

variable "requests_per_address" {
  description = "How many requests one address may make in five minutes."
  type        = number
  default     = 3000

  validation {
    condition     = var.requests_per_address >= 100
    error_message = "AWS counts from 100."
  }
}

variable "drain_seconds" {
  description = "How long requests in flight may take on a task that leaves."
  type        = number
  default     = 30
}

variable "deletion_protection" {
  description = "Whether the load balancer refuses to be deleted."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long access logs are kept."
  type        = number
  default     = 365
}

variable "kms_key_arn" {
  description = "The key of the environment, from the module encryption."
  type        = string
}

variable "receives_traffic" {
  description = "Whether the name that clients use leads here."
  type        = bool
  default     = true
}
