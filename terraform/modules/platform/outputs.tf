output "url" {
  description = "How clients reach the service."
  value       = module.edge.url
}

output "role_arns" {
  description = "Roles for GitHub: plan, apply, deploy."
  value       = module.identity.role_arns
}

output "repository_urls" {
  description = "Where images are pushed."
  value       = module.registry.repository_urls
}

output "ecs" {
  description = "What a release needs to know: cluster, service, family of the task definition."
  value       = { cluster = module.service.cluster, service = module.service.service, task_family = module.service.task_family }
}

output "lookout_url" {
  description = "Where the pipeline asks the gate: the variable LOOKOUT_URL. Only from inside the VPC."
  value       = module.agent.url
}

output "names" {
  description = "What k8s/ is told: the host of the database, the secrets in the store, the network that the database is in."
  value = {
    database_host   = module.database.name
    database_secret = "${var.name}/database/titanic"
    agent_secret    = aws_secretsmanager_secret.agent.name
    # the third quarter of the VPC: where the subnets of the database are
    database_network = cidrsubnet(var.cidr, 2, 2)
  }
}

output "roles_task" {
  description = "What the task that makes the database's roles needs to know."
  value = {
    task_definition = module.database.roles_task_definition
    subnets         = module.network.private_subnet_ids
    security_groups = [module.database.client_security_group_id, module.service.security_group_id]
    secret          = module.database.secret_arn
  }
}

output "promises" {
  description = "What an environment is held to by its tests."
  value = {
    deletion_protection = var.size.deletion_protection
    backups_locked      = var.size.backups_locked
    backup_days         = var.size.database_backup_days
    standby             = var.size.database_standby
    nat                 = var.size.nat
    copied_to           = var.copy_region
  }
}
