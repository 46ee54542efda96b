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
  description = "Subnets without a way to the internet, in at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "RDS wants subnets in two zones."
  }
}

variable "rotation_subnet_ids" {
  description = "Subnets from which the rotation function reaches Secrets Manager."
  type        = list(string)
}

variable "names" {
  description = "The zone of the VPC's own names, from the module network."
  type        = object({ zone = string, namespace_id = string })
}

variable "clients" {
  description = "Further security groups that may connect: the nodes of a cluster, whose pods wear their group."
  type        = map(string)
  default     = {}
}

variable "engine_version" {
  description = "PostgreSQL, major version; minor ones come in the maintenance window."
  type        = string
  default     = "17"
}

variable "instance_class" {
  description = "Size of the instance."
  type        = string
  default     = "db.t4g.micro"

  validation {
    condition     = startswith(var.instance_class, "db.")
    error_message = "Such as db.t4g.micro or db.m7g.large."
  }
}

variable "storage_gib" {
  description = "Storage to begin with, and how far it may grow by itself."
  type        = object({ initial = number, most = number })
  default     = { initial = 20, most = 100 }

  validation {
    condition     = var.storage_gib.initial >= 20 && var.storage_gib.most >= var.storage_gib.initial * 1.1
    error_message = "At least 20 GiB, and room to grow by a tenth or more."
  }
}

variable "multi_az" {
  description = "A standby in another zone."
  type        = bool
  default     = true
}

variable "backup_retention_days" {
  description = "How many days one can go back to any second of."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_retention_days >= 14 && var.backup_retention_days <= 35
    error_message = "14 to 35 days."
  }
}

variable "deletion_protection" {
  description = "Whether the database refuses to be deleted."
  type        = bool
  default     = true
}

variable "copy_region" {
  description = "Region that automated backups are copied to, and the key there; nowhere when null."
  type        = object({ region = string, kms_key_arn = string })
  default     = null
}

variable "client_image" {
  description = "An image with psql 14 or later, by digest, for the task that makes the application's role."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.client_image))
    error_message = "Name the image by digest: …@sha256:<64 hex digits>."
  }
}

variable "application" {
  description = "Name of the database, of the application's role and of the schema that it owns."
  type        = string
  default     = "titanic"

  validation {
    condition     = can(regex("^[a-z][a-z_]{1,30}$", var.application))
    error_message = "Lower-case letters and underscores."
  }
}

variable "login_made" {
  description = "Whether the application's login is in its secret; only then can it rotate."
  type        = bool
  default     = false
}

variable "connection_limit" {
  description = "How many connections the application may hold: MAX_CONNECTIONS times its most tasks, twice while a deployment runs."
  type        = number
  default     = 60
}

variable "log_retention_days" {
  description = "How long the logs of the database are kept."
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

variable "read_replica" {
  description = "Instance class of a replica for reads; none when null."
  type        = string
  default     = null
}
