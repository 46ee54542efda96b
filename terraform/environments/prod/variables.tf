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
  description = "The GitHub repository whose workflows may deploy here, as owner/name."
  type        = string
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

variable "copy_region" {
  description = "Another region, which backups are copied to."
  type        = string
}
