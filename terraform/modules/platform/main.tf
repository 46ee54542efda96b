# One environment, whole. The environments differ in sizes, and in nothing else.
locals {
  cluster = var.name
  service = "titanic"

  # pods wear the group of their nodes
  nodes = { for cluster in module.kubernetes : "kubernetes" => cluster.node_security_group_id }

  # MAX_CONNECTIONS of the service, for its most tasks, twice while a deployment runs
  connections = var.size.tasks.most * 10 * 2
}

module "encryption" {
  source = "../encryption"

  name        = var.name
  copy_region = var.copy_region
}

module "identity" {
  source = "../identity"

  name                = var.name
  environment         = var.environment
  repository          = var.repository
  github_provider_arn = var.github_provider_arn
  state               = var.state
  service             = { cluster = local.cluster, service = local.service }
  kms_key_arn         = module.encryption.key_arn
}

module "network" {
  source = "../network"

  name                     = var.name
  cidr                     = var.cidr
  availability_zones       = var.availability_zones
  nat                      = var.size.nat
  internal_zone            = "${var.environment}.titanic.internal"
  interface_endpoints      = var.size.interface_endpoints
  flow_log_retention_days  = var.size.log_retention_days
  kms_key_arn              = module.encryption.key_arn
  permissions_boundary_arn = module.identity.permissions_boundary_arn
}

module "registry" {
  source = "../registry"

  name        = var.name
  kms_key_arn = module.encryption.key_arn
}

module "database" {
  source = "../database"

  name                     = var.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.database_subnet_ids
  rotation_subnet_ids      = module.network.private_subnet_ids
  instance_class           = var.size.database_class
  multi_az                 = var.size.database_standby
  backup_retention_days    = var.size.database_backup_days
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
  source = "../edge"

  name                = var.name
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.public_subnet_ids
  hostname            = var.hostname
  zone_id             = var.zone_id
  test_cidrs          = var.test_cidrs
  deletion_protection = var.size.deletion_protection
  log_retention_days  = var.size.log_retention_days
  kms_key_arn         = module.encryption.key_arn
}

module "observability" {
  source = "../observability"

  name                  = var.name
  cluster               = local.cluster
  service               = local.service
  load_balancer_suffix  = module.edge.load_balancer_suffix
  target_group_suffixes = module.edge.target_group_suffixes
  database_identifier   = module.database.identifier
  subscribers           = var.subscribers
  monthly_budget        = var.size.monthly_budget
  thresholds            = { connections = floor(local.connections * 0.8) }
  kms_key_arn           = module.encryption.key_arn
}

module "service" {
  source = "../ecs-service"

  name                     = var.name
  environment              = var.environment
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.private_subnet_ids
  edge                     = module.edge
  database                 = module.database
  database_ca_pem          = var.database_ca_pem
  service_image            = var.images.service
  agent_image              = var.images.agent
  secrets                  = var.secrets
  size                     = var.size.task
  tasks                    = var.size.tasks
  spot_share               = var.size.spot_share
  bake_minutes             = var.size.bake_minutes
  rollback_alarms          = module.observability.rollback_alarms
  observers                = merge(var.observers, local.nodes)
  log_retention_days       = var.size.log_retention_days
  kms_key_arn              = module.encryption.key_arn
  permissions_boundary_arn = module.identity.permissions_boundary_arn
}

module "agent" {
  source = "../ecs-agent"

  name                     = var.name
  environment              = var.environment
  cluster                  = module.service.cluster
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.private_subnet_ids
  names                    = module.network.names
  url                      = module.edge.url
  image                    = var.images.agent
  secret_arn               = aws_secretsmanager_secret.agent.arn
  observers                = merge(var.observers, local.nodes)
  topic_arn                = module.observability.topic_arn
  log_retention_days       = var.size.log_retention_days
  kms_key_arn              = module.encryption.key_arn
  permissions_boundary_arn = module.identity.permissions_boundary_arn
}

module "kubernetes" {
  source = "../eks"
  count  = var.kubernetes == null ? 0 : 1

  name                     = var.name
  subnet_ids               = module.network.private_subnet_ids
  zone_id                  = var.zone_id
  administrator_arns       = var.kubernetes.administrator_arns
  public_access_cidrs      = var.kubernetes.public_access_cidrs
  nodes                    = var.kubernetes.nodes
  log_retention_days       = var.size.log_retention_days
  kms_key_arn              = module.encryption.key_arn
  permissions_boundary_arn = module.identity.permissions_boundary_arn
}

module "backup" {
  source = "../backup"

  name                     = var.name
  resource_arns            = [module.database.arn, module.agent.ledger_arn]
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
