locals {
  name = "titanic-staging"
}

module "platform" {
  source = "../../modules/platform"

  name                = local.name
  environment         = "staging"
  repository          = var.repository
  github_provider_arn = var.github_provider_arn
  state               = merge(var.state, { object = "staging/terraform.tfstate" })
  cidr                = "10.30.0.0/16"
  availability_zones  = [for zone in ["a", "b"] : "${var.region}${zone}"]
  hostname            = var.hostname
  zone_id             = var.zone_id
  images              = var.images
  subscribers         = var.subscribers
  secrets             = var.secrets
  observers           = var.observers
  database_ca_pem     = var.database_ca_pem
  test_cidrs          = var.test_cidrs
  kubernetes          = var.kubernetes

  size = {
    nat                  = "one"
    interface_endpoints  = []
    database_class       = "db.t4g.small"
    database_standby     = true
    database_backup_days = 14
    task                 = { cpu = 512, memory = 1024 }
    tasks                = { least = 2, most = 4 }
    spot_share           = 50
    bake_minutes         = 10
    log_retention_days   = 90
    deletion_protection  = true
    backups_locked       = false
    restore_tested       = true
    monthly_budget       = 260
  }
}
