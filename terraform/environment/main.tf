# One environment, whole. Environments differ in the values of <environment>.tfvars, and in nothing else.
locals {
  name    = "titanic-${var.environment}"
  cluster = local.name
  service = "titanic"
  zones   = [for zone in var.zones : "${var.region}${zone}"]

  # where the name that clients use leads to
  traffic = coalesce(var.traffic, var.ecs ? "ecs" : "eks")

  # pods wear the group of their nodes
  nodes = { for cluster in module.kubernetes : "kubernetes" => cluster.node_security_group_id }

  # MAX_CONNECTIONS of the service, for its most tasks, twice while a deployment runs
  connections = var.size.tasks.most * 10 * 2
}

module "encryption" {
  source = "../modules/encryption"

  name        = local.name
  copy_region = var.copy_region
}

module "identity" {
  source = "../modules/identity"

  name                  = local.name
  environment           = var.environment
  repository            = var.repository
  github_provider_arn   = var.github_provider_arn
  accept_former_subject = var.accept_former_subject
  state                 = merge(var.state, { object = "${var.environment}/terraform.tfstate" })
  service               = { cluster = local.cluster, service = local.service }
  kms_key_arn           = module.encryption.key_arn
}

module "network" {
  source = "../modules/network"

  name                     = local.name
  cidr                     = var.cidr
  availability_zones       = local.zones
  nat                      = var.size.nat
  internal_zone            = "${var.environment}.titanic.internal"
  interface_endpoints      = var.size.interface_endpoints
  flow_log_retention_days  = var.size.log_retention_days
  kms_key_arn              = module.encryption.key_arn
  permissions_boundary_arn = module.identity.permissions_boundary_arn
}

module "registry" {
  source = "../modules/registry"

  name        = local.name
  kms_key_arn = module.encryption.key_arn
}

module "database" {
  source = "../modules/database"

  name                     = local.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.database_subnet_ids
  rotation_subnet_ids      = module.network.private_subnet_ids
  login_made               = var.login_made
  instance_class           = var.size.database_class
  multi_az                 = var.size.database_standby
  backup_retention_days    = var.size.database_backup_days
  read_replica             = var.size.database_replica
  deletion_protection      = var.size.deletion_protection
  copy_region              = module.encryption.copy
  client_image             = var.images.database_client
  names                    = module.network.names
  clients                  = local.nodes
  connection_limit         = local.connections
  log_retention_days       = var.size.log_retention_days
  kms_key_arn              = module.encryption.key_arn
  permissions_boundary_arn = module.identity.permissions_boundary_arn
}

module "edge" {
  source = "../modules/edge"
  count  = var.ecs ? 1 : 0

  name                = local.name
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.public_subnet_ids
  hostname            = var.hostname
  receives_traffic    = local.traffic == "ecs"
  zone_id             = var.zone_id
  test_cidrs          = var.test_cidrs
  deletion_protection = var.size.deletion_protection
  log_retention_days  = var.size.log_retention_days
  kms_key_arn         = module.encryption.key_arn
}

module "observability" {
  source = "../modules/observability"

  name                = local.name
  database_identifier = module.database.identifier
  subscribers         = var.subscribers
  monthly_budget      = var.size.monthly_budget
  thresholds          = { connections = floor(local.connections * 0.8) }

  ecs = var.ecs ? {
    cluster               = local.cluster
    service               = local.service
    load_balancer_suffix  = module.edge[0].load_balancer_suffix
    target_group_suffixes = module.edge[0].target_group_suffixes
  } : null

  kms_key_arn = module.encryption.key_arn
}

module "ecs" {
  source = "../modules/ecs"
  count  = var.ecs ? 1 : 0

  name                     = local.name
  environment              = var.environment
  network                  = module.network
  edge                     = module.edge[0]
  database                 = module.database
  database_ca_pem          = var.database_ca_pem
  alarms                   = module.observability
  images                   = var.images
  agent_secret_arn         = aws_secretsmanager_secret.agent.arn
  pages                    = var.lookout == null ? null : merge(var.lookout, { zone_id = var.zone_id })
  secrets                  = var.secrets
  size                     = var.size.task
  tasks                    = var.size.tasks
  scheduled_tasks          = var.scheduled_tasks
  spot_share               = var.size.spot_share
  bake_minutes             = var.size.bake_minutes
  observers                = merge(var.observers, local.nodes)
  log_retention_days       = var.size.log_retention_days
  kms_key_arn              = module.encryption.key_arn
  permissions_boundary_arn = module.identity.permissions_boundary_arn
}

module "kubernetes" {
  source = "../modules/eks"
  count  = var.kubernetes == null ? 0 : 1

  name                     = local.name
  subnet_ids               = module.network.private_subnet_ids
  zone_id                  = var.zone_id
  administrator_arns       = var.kubernetes.administrator_arns
  public_access_cidrs      = var.kubernetes.public_access_cidrs
  addon_versions           = var.kubernetes.addon_versions
  nodes                    = var.kubernetes.nodes
  log_retention_days       = var.size.log_retention_days
  kms_key_arn              = module.encryption.key_arn
  permissions_boundary_arn = module.identity.permissions_boundary_arn
}

module "backup" {
  source = "../modules/backup"

  name                     = local.name
  resource_arns            = concat([module.database.arn], module.ecs[*].ledger_arn)
  locked                   = var.size.backups_locked
  copy                     = module.encryption.copy
  topic_arn                = module.observability.topic_arn
  kms_key_arn              = module.encryption.key_arn
  permissions_boundary_arn = module.identity.permissions_boundary_arn

  restore_test = var.size.restore_tested ? {
    database_arn      = module.database.arn
    subnet_group      = module.database.subnet_group
    security_group_id = module.database.server_security_group_id
  } : null
}
