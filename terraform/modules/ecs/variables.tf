variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "environment" {
  description = "What the environment is for: dev, staging or prod. What begins with prod refuses drills."
  type        = string
}

variable "network" {
  description = "The network, from the module network."
  type = object({
    vpc_id             = string
    private_subnet_ids = list(string)
    names              = object({ zone = string, namespace_id = string })
  })
}

variable "edge" {
  description = "The load balancer, from the module edge."
  type = object({
    security_group_id    = string
    load_balancer_suffix = string
    target_group_arns    = map(string)
    listener_rule_arns   = map(string)
    listener_arn         = string
    load_balancer        = object({ dns_name = string, zone_id = string })
    url                  = string
  })
}

variable "database" {
  description = "The database, from the module database."
  type = object({
    address                  = string
    port                     = number
    database                 = string
    secret_arn               = string
    client_security_group_id = string
  })
}

variable "database_ca_pem" {
  description = "Certificates of the authority of RDS in this region, as PEM. With them the server's name is verified; without, traffic is only encrypted."
  type        = string
  default     = ""

  validation {
    condition     = var.database_ca_pem == "" || startswith(trimspace(var.database_ca_pem), "-----BEGIN CERTIFICATE-----")
    error_message = "Give PEM, beginning with -----BEGIN CERTIFICATE-----."
  }
}

variable "images" {
  description = "By digest: the service, the agent with its configuration (deploy/ecs/Dockerfile), and OpenTelemetry Collector Contrib. Without a collector no telemetry is sent."
  type        = object({ service = string, agent = string, collector = optional(string) })

  validation {
    condition     = alltrue([for image in values(var.images) : can(regex("@sha256:[0-9a-f]{64}$", image)) if image != null])
    error_message = "Name the image by digest: …@sha256:<64 hex digits>."
  }
}

variable "agent_secret_arn" {
  description = "What the agent must not be told in the open, as JSON with `slack_webhook_url` and `deploy_token_sha256`."
  type        = string
}

variable "pages" {
  description = "Host name of the agent's pages, its zone, and the user pool that people log in by. Inside of the VPC only when null."
  type        = object({ hostname = string, zone_id = string, user_pool_arn = string, user_pool_client_id = string, user_pool_domain = string })
  default     = null
}

variable "alarms" {
  description = "Alarms that take a deployment back, and who is told when the agent itself is gone; from the module observability."
  type        = object({ rollback_alarms = list(string), topic_arn = string })

  validation {
    condition     = length(var.alarms.rollback_alarms) > 0
    error_message = "Without an alarm nothing is ever taken back."
  }
}

variable "secrets" {
  description = "Further secrets of the service as ARNs in Secrets Manager, by variable; such as { API_KEYS = \"arn:…\" }."
  type        = map(string)
  default     = {}
}

variable "size" {
  description = "CPU units and MiB of a task; the agent takes 128 and 128 of it."
  type        = object({ cpu = number, memory = number })
  default     = { cpu = 512, memory = 1024 }

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.size.cpu) && var.size.memory >= var.size.cpu * 2 && var.size.memory <= var.size.cpu * 8
    error_message = "Fargate takes 256 to 4096 CPU units, and between 2 and 8 MiB for each."
  }
}

variable "tasks" {
  description = "How few and how many tasks."
  type        = object({ least = number, most = number })
  default     = { least = 2, most = 6 }

  validation {
    condition     = var.tasks.least >= 1 && var.tasks.most >= var.tasks.least
    error_message = "At least one, and the most not below the least."
  }
}

variable "scheduled_tasks" {
  description = "Least number of tasks from a time on, by name: `cron(0 7 ? * MON-FRI *)` in a time zone. Say the end of each as well."
  type        = map(object({ schedule = string, least = number, timezone = optional(string, "Etc/UTC") }))
  default     = {}

  validation {
    condition     = alltrue([for action in values(var.scheduled_tasks) : can(regex("^(cron|rate|at)\\(.+\\)$", action.schedule))])
    error_message = "A schedule is `cron(…)`, `rate(…)` or `at(…)`."
  }

  validation {
    condition     = alltrue([for action in values(var.scheduled_tasks) : action.least >= 1 && action.least <= var.tasks.most])
    error_message = "From one task to the most there may be."
  }
}

variable "spot_share" {
  description = "Per cent of the tasks on capacity that AWS may take back."
  type        = number
  default     = 0

  validation {
    condition     = var.spot_share >= 0 && var.spot_share <= 100
    error_message = "0 to 100."
  }
}

variable "requests_per_task" {
  description = "Requests per minute and task that are kept to by adding tasks."
  type        = number
  default     = 6000
}

variable "bake_minutes" {
  description = "How long the former version stays beside the new one, ready to take over."
  type        = number
  default     = 15

  validation {
    condition     = var.bake_minutes >= 5
    error_message = "Alarms need 5 minutes to speak."
  }
}

variable "canary" {
  description = "Per cent of the traffic that a new version gets first, and for how many minutes."
  type        = object({ percent = number, minutes = number })
  default     = { percent = 10, minutes = 10 }

  validation {
    condition     = var.canary.percent > 0 && var.canary.percent <= 50 && var.canary.minutes >= 10
    error_message = "A share, not most of it, and 10 minutes at least: the pipeline's gate watches it for 5."
  }
}

variable "drain_seconds" {
  description = "How long the service goes on serving after it was told to stop."
  type        = number
  default     = 20

  validation {
    condition     = var.drain_seconds >= 0 && var.drain_seconds <= 100
    error_message = "0 to 100: Fargate waits 120 seconds at most, and requests in flight get 15 more."
  }
}

variable "observers" {
  description = "Security groups that may read metrics (8081) and ask the agent (9797): Prometheus, runners of deployments."
  type        = map(string)
  default     = {}
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

