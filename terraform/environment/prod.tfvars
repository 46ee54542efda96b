environment = "prod"
cidr        = "10.40.0.0/16"
zones       = ["a", "b", "c"]

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
