variable "environment" {
  description = "dev, staging or prod."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "dev, staging or prod."
  }
}

variable "cidr" {
  description = "Addresses of the VPC, a private /16."
  type        = string
}

variable "zones" {
  description = "Letters of two or three zones of the region."
  type        = list(string)
}

variable "account_id" {
  description = "The AWS account of this environment; another is refused."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "Twelve digits."
  }
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "cost_centre" {
  description = "Who pays; a tag of everything."
  type        = string
}

variable "repository" {
  description = "The GitHub repository whose workflows may deploy here: owner@ID/name@ID, or owner/name where its subject has no IDs."
  type        = string
}

variable "accept_former_subject" {
  description = "Whether the name without IDs is accepted too, while a repository changes over to immutable subjects."
  type        = bool
  default     = false
}

variable "github_provider_arn" {
  description = "The OIDC provider of GitHub, where the account has one already."
  type        = string
  default     = null
}

variable "state" {
  description = "The bucket of the state and its key, from terraform/bootstrap."
  type        = object({ bucket_arn = string, kms_key_arn = string })
}

variable "hostname" {
  description = "Name that clients use."
  type        = string
}

variable "zone_id" {
  description = "The Route 53 zone that the name is in."
  type        = string
}

variable "images" {
  description = "The first images, by digest; later ones come from the deploy workflow. Without a collector no telemetry is sent on ECS."
  type        = object({ service = string, agent = string, database_client = string, collector = optional(string) })
}

variable "subscribers" {
  description = "Mail addresses that alarms and budgets tell."
  type        = set(string)
}

variable "secrets" {
  description = "Further secrets of the service as ARNs in Secrets Manager, by variable."
  type        = map(string)
  default     = {}
}

variable "observers" {
  description = "Security groups that may ask the gate (9797) and read metrics (8081): runners of deployments, Prometheus."
  type        = map(string)
  default     = {}
}

variable "database_ca_pem" {
  description = "Certificates of the authority of RDS in this region, as PEM."
  type        = string
  default     = ""
}

variable "test_cidrs" {
  description = "Who may try the next version on port 8443 before clients get it."
  type        = list(string)
  default     = []
}

variable "login_made" {
  description = "Whether the application's login is in its secret; only then can it rotate."
  type        = bool
  default     = false
}

variable "ecs" {
  description = "Whether service and agent run on ECS."
  type        = bool
  default     = true

  validation {
    condition     = var.ecs || var.kubernetes != null
    error_message = "Use ECS, EKS or both."
  }
}

variable "traffic" {
  description = "Where the name that clients use leads to: ecs or eks. ECS where there is one, when null."
  type        = string
  default     = null

  validation {
    condition     = var.traffic == null || (var.traffic == "ecs" && var.ecs) || (var.traffic == "eks" && var.kubernetes != null)
    error_message = "Name a platform that this environment has."
  }
}

variable "lookout" {
  description = "Host name of the agent's pages on ECS and the user pool that people log in by. Inside of the VPC only when null."
  type        = object({ hostname = string, user_pool_arn = string, user_pool_client_id = string, user_pool_domain = string })
  default     = null
}

variable "kubernetes" {
  description = "An EKS cluster; none when null."
  type = object({
    administrator_arns  = map(string)
    public_access_cidrs = optional(list(string), [])
    addon_versions      = optional(map(string), {})
    nodes = optional(object({
      types = optional(list(string), ["t3.large"])
      least = optional(number, 2)
      most  = optional(number, 5)
    }), {})
  })
  default = null
}

variable "copy_region" {
  description = "Another region, which backups are copied to; none when null."
  type        = string
  default     = null

  validation {
    condition     = var.environment != "prod" || var.copy_region != null
    error_message = "Backups of prod outlive the region: name another one."
  }
}

variable "scheduled_tasks" {
  description = "Least number of tasks on ECS from a time on, by name."
  type        = map(object({ schedule = string, least = number, timezone = optional(string, "Etc/UTC") }))
  default     = {}
}

variable "size" {
  description = "What makes one environment cost more than another, and withstand more."
  type = object({
    nat                  = string
    interface_endpoints  = set(string)
    database_class       = string
    database_standby     = bool
    database_backup_days = number
    database_replica     = optional(string)
    task                 = object({ cpu = number, memory = number })
    tasks                = object({ least = number, most = number })
    spot_share           = number
    bake_minutes         = number
    log_retention_days   = number
    deletion_protection  = bool
    backups_locked       = bool
    restore_tested       = bool
    monthly_budget       = number
  })

  validation {
    condition = var.environment != "prod" || (
      var.size.nat == "per_zone" && var.size.database_standby && var.size.deletion_protection && var.size.backups_locked
      && var.size.tasks.least >= 2 && var.size.spot_share == 0
    )
    error_message = "In prod no single zone, instance or mistake may take the service down: a NAT gateway per zone, a standby, deletion protection, locked backups, two tasks, none on spot capacity."
  }
}
