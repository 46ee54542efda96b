terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.45.0"
    }
  }

  # key (<environment>/terraform.tfstate), bucket, region and kms_key_id come from `init -backend-config`
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Stack       = local.name
      Environment = var.environment
      CostCentre  = var.cost_centre
      ManagedBy   = "terraform"
      Repository  = var.repository
    }
  }
}
