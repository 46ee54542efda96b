variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "cidr" {
  description = "Addresses of the VPC: a private /16, of which every subnet is a /20."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.cidr)) && endswith(var.cidr, "/16") && can(regex("^(10|172\\.(1[6-9]|2[0-9]|3[01])|192\\.168)\\.", var.cidr))
    error_message = "Use a private /16 such as 10.20.0.0/16."
  }
}

variable "availability_zones" {
  description = "Two or three zones of the region."
  type        = list(string)

  validation {
    condition     = contains([2, 3], length(distinct(var.availability_zones))) && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "Name two or three different zones."
  }
}

variable "nat" {
  description = "`one` gateway for all zones, or one `per_zone`, so that the loss of a zone takes no other off the network."
  type        = string
  default     = "per_zone"

  validation {
    condition     = contains(["one", "per_zone"], var.nat)
    error_message = "Use one or per_zone."
  }
}

variable "interface_endpoints" {
  description = "AWS services reached inside the VPC. Each costs by the hour and zone, and saves what the NAT gateway takes by the gigabyte."
  type        = set(string)
  default     = ["ecr.api", "ecr.dkr", "logs", "secretsmanager", "sts"]
}

variable "internal_zone" {
  description = "Zone of the names that only the VPC knows, such as prod.titanic.internal."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+internal$", var.internal_zone))
    error_message = "Use a name below `internal`, which no public server will ever answer for."
  }
}

variable "flow_log_retention_days" {
  description = "How long flow logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([30, 90, 180, 365, 400, 731], var.flow_log_retention_days)
    error_message = "Use 30, 90, 180, 365, 400 or 731."
  }
}

variable "kms_key_arn" {
  description = "The key of the environment, from the module encryption."
  type        = string
}

variable "permissions_boundary_arn" {
  description = "The most that roles made here may ever do, from the module identity."
  type        = string
}
