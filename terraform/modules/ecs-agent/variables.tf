variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "environment" {
  description = "dev, staging or prod: a label of everything that the agent says."
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
  description = "Private subnets, in at least two zones."
  type        = list(string)
}

variable "names" {
  description = "The zone of the VPC's own names, from the module network."
  type        = object({ zone = string, namespace_id = string })
}

variable "url" {
  description = "How clients reach the service; the agent probes it as one of them."
  type        = string
}

variable "image" {
  description = "The agent with its configuration (deploy/ecs/Dockerfile), by digest."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by digest: …@sha256:<64 hex digits>."
  }
}

variable "secret_arn" {
  description = "What the agent must not be told in the open, as JSON with `slack_webhook_url` and `deploy_token_sha256`."
  type        = string
}

variable "observers" {
  description = "Security groups that may ask the gate and read metrics (9797): runners of deployments, Prometheus."
  type        = map(string)
  default     = {}
}

variable "pages" {
  description = "Host name of the agent's pages, the load balancer that leads there, and the user pool that people log in by. Inside of the VPC only when null."
  type = object({
    hostname            = string
    user_pool_arn       = string
    user_pool_client_id = string
    user_pool_domain    = string
    zone_id             = string
    listener_arn        = string
    security_group_id   = string
    load_balancer       = object({ dns_name = string, zone_id = string })
  })
  default = null
}

variable "topic_arn" {
  description = "Who is told when the agent itself is gone."
  type        = string
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 365
}

variable "kms_key_arn" {
  description = "The key of the environment, from the module encryption."
  type        = string
}

variable "permissions_boundary_arn" {
  description = "The most that roles made here may ever do, from the module identity."
  type        = string
}

variable "otlp_endpoint" {
  description = "Base URL of a collector of telemetry; none when null."
  type        = string
  default     = null
}
