variable "name" {
  description = "Name of the environment, before every name made here."
  type        = string
}

variable "cluster" {
  description = "The ECS cluster."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "names" {
  description = "Names inside the VPC."
  type        = object({ zone = string, namespace_id = string })
}

variable "image" {
  description = "OpenTelemetry Collector Contrib, by digest."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "An image by digest."
  }
}

variable "senders" {
  description = "Security groups that may send telemetry, by name."
  type        = map(string)
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 365
}

variable "kms_key_arn" {
  description = "The key of the environment."
  type        = string
}

variable "permissions_boundary_arn" {
  description = "The most that the roles may do."
  type        = string
}
