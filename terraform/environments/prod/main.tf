locals {
  name = "titanic-prod"
}

module "platform" {
  source = "../../modules/platform"

  name                = local.name
  environment         = "prod"
  repository          = var.repository
  github_provider_arn = var.github_provider_arn
  state               = merge(var.state, { object = "prod/terraform.tfstate" })
  cidr                = "10.40.0.0/16"
  availability_zones  = [for zone in ["a", "b", "c"] : "${var.region}${zone}"]
  hostname            = var.hostname
  zone_id             = var.zone_id
  images              = var.images
  subscribers         = var.subscribers
  secrets             = var.secrets
  observers           = var.observers
  database_ca_pem     = var.database_ca_pem
  test_cidrs          = var.test_cidrs
  kubernetes          = var.kubernetes
  copy_region         = var.copy_region

  size = {
    nat                  = "per_zone"
    interface_endpoints  = ["ecr.api", "ecr.dkr", "logs", "secretsmanager", "sts"]
    database_class       = "db.m7g.large"
    database_standby     = true
    database_backup_days = 35
    task                 = { cpu = 1024, memory = 2048 }
    tasks                = { least = 3, most = 12 }
    spot_share           = 0
    bake_minutes         = 30
    log_retention_days   = 365
    deletion_protection  = true
    backups_locked       = true
    restore_tested       = true
    monthly_budget       = 1500
  }
}
