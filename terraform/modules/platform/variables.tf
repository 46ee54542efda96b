variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "environment" {
  description = "dev, staging or prod."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "dev, staging or prod."
  }
}

variable "repository" {
  description = "The GitHub repository whose workflows may deploy here, as owner/name."
  type        = string
}

variable "github_provider_arn" {
  description = "The OIDC provider of GitHub, where the account has one already."
  type        = string
  default     = null
}

variable "state" {
  description = "Where the state of this environment is, from terraform/bootstrap."
  type        = object({ bucket_arn = string, kms_key_arn = string, object = string })
}

variable "cidr" {
  description = "Addresses of the VPC, a private /16."
  type        = string
}

variable "availability_zones" {
  description = "Two or three zones."
  type        = list(string)
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
  description = "The first images, by digest; later ones come from the deploy workflow."
  type        = object({ service = string, agent = string, database_client = string })
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

variable "copy_region" {
  description = "Region that backups are copied to; none when null."
  type        = string
  default     = null
}

variable "kubernetes" {
  description = "An EKS cluster beside ECS; none when null."
  type = object({
    administrator_arns  = map(string)
    public_access_cidrs = optional(list(string), [])
    nodes = optional(object({
      types = optional(list(string), ["t3.large"])
      least = optional(number, 2)
      most  = optional(number, 5)
    }), {})
  })
  default = null
}

variable "size" {
  description = "What makes one environment cost more than another, and withstand more."
  type = object({
    nat                  = string
    interface_endpoints  = set(string)
    database_class       = string
    database_standby     = bool
    database_backup_days = number
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
