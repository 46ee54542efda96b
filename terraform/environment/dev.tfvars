environment = "dev"
cidr        = "10.20.0.0/16"
zones       = ["a", "b"]

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
