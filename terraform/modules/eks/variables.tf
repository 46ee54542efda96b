variable "name" {
  description = "Prefix of every name, such as titanic-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,19}$", var.name))
    error_message = "Use 3 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

# 1.35 is in standard support until 2027-03-27: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
variable "kubernetes_version" {
  description = "Minor version of Kubernetes; k8s/ is checked against this one."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "Such as 1.35."
  }
}

variable "subnet_ids" {
  description = "Private subnets, in at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "EKS wants two zones."
  }
}

variable "public_access_cidrs" {
  description = "Who may reach the API server from outside the VPC. Nobody when empty."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.public_access_cidrs, "0.0.0.0/0") && alltrue([for cidr in var.public_access_cidrs : can(cidrnetmask(cidr))])
    error_message = "Name networks, not the whole internet."
  }
}

variable "administrator_arns" {
  description = "Roles that administer the cluster, by a name of your choice."
  type        = map(string)
  default     = {}
}

variable "nodes" {
  description = "Types of the nodes, how few and how many, and GiB of their disks."
  type = object({
    types = optional(list(string), ["t3.large"])
    least = optional(number, 2)
    most  = optional(number, 5)
    disk  = optional(number, 40)
  })
  default = {}

  validation {
    condition     = var.nodes.least >= 1 && var.nodes.most >= var.nodes.least && var.nodes.disk >= 20
    error_message = "At least one node, the most not below the least, and 20 GiB of disk."
  }
}

variable "addon_versions" {
  description = "Versions of the add-ons that EKS installs, by name: `aws eks describe-addon-versions --kubernetes-version 1.35` lists them. EKS chooses where none is named."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for version in values(var.addon_versions) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "A version such as v1.2.3-eksbuild.4."
  }
}

variable "external_secrets" {
  description = "Namespace and service account of External Secrets, which reads the secrets of this environment."
  type        = object({ namespace = string, service_account = string })
  default     = { namespace = "external-secrets", service_account = "external-secrets" }
}

variable "cert_manager" {
  description = "Namespace and service account of cert-manager, which proves that names are ours."
  type        = object({ namespace = string, service_account = string })
  default     = { namespace = "cert-manager", service_account = "cert-manager" }
}

variable "zone_id" {
  description = "The Route 53 zone in which cert-manager proves it."
  type        = string
}

variable "log_retention_days" {
  description = "How long the logs of the control plane are kept."
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
