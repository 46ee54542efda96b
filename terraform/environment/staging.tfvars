environment = "staging"
cidr        = "10.30.0.0/16"
zones       = ["a", "b"]

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
