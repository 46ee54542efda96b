terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.45.0"
    }
  }

  # bucket, region and kms_key_id come from backend.hcl, which bootstrap prints
  backend "s3" {
    key          = "dev/terraform.tfstate"
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
      Environment = "dev"
      CostCentre  = var.cost_centre
      ManagedBy   = "terraform"
      Repository  = var.repository
    }
  }
}
