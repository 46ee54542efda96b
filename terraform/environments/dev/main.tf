locals {
  name = "titanic-dev"
}

module "platform" {
  source = "../../modules/platform"

  name                = local.name
  environment         = "dev"
  repository          = var.repository
  github_provider_arn = var.github_provider_arn
  state               = merge(var.state, { object = "dev/terraform.tfstate" })
  cidr                = "10.20.0.0/16"
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
    database_class       = "db.t4g.micro"
    database_standby     = false
    database_backup_days = 14
    task                 = { cpu = 512, memory = 1024 }
    tasks                = { least = 1, most = 2 }
    spot_share           = 80
    bake_minutes         = 10
    log_retention_days   = 30
    deletion_protection  = false
    backups_locked       = false
    restore_tested       = false
    monthly_budget       = 160
  }
}
