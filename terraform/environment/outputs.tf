output "url" {
  description = "How clients reach the service."
  value       = "https://${var.hostname}"
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
  description = "What a release needs to know: cluster, service, family of the task definition. Null without ECS."
  value       = one([for ecs in module.ecs : { cluster = ecs.cluster, service = ecs.service, task_family = ecs.task_family }])
}

output "lookout_url" {
  description = "Where the pipeline asks the gate: the variable LOOKOUT_URL. Only from inside the VPC. Null without ECS."
  value       = one(module.ecs[*].lookout_url)
}

output "names" {
  description = "What k8s/ is told: the host of the database, the secrets in the store, the network that the database is in."
  value = {
    database_host   = module.database.name
    database_secret = "${local.name}/database/titanic"
    agent_secret    = aws_secretsmanager_secret.agent.name
    # the third quarter of the VPC: where the subnets of the database are
    database_network = cidrsubnet(var.cidr, 2, 2)
  }
}

output "roles_task" {
  description = "What the task that makes the database's roles needs to know. Null without ECS: a pod runs the same SQL."
  value = one([for ecs in module.ecs : {
    task_definition = module.database.roles_task_definition
    subnets         = module.network.private_subnet_ids
    security_groups = [module.database.client_security_group_id, ecs.security_group_id]
    secret          = module.database.secret_arn
  }])
}

output "platforms" {
  description = "What service and agent run on, and where the name that clients use leads to."
  value       = { ecs = var.ecs, eks = var.kubernetes != null, traffic = local.traffic }
}
