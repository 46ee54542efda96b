output "url" {
  description = "How clients reach the service."
  value       = module.platform.url
}

output "role_arns" {
  description = "Roles for GitHub: plan, apply, deploy."
  value       = module.platform.role_arns
}

output "repository_urls" {
  description = "Where images are pushed."
  value       = module.platform.repository_urls
}

output "ecs" {
  description = "What a release needs to know."
  value       = module.platform.ecs
}

output "lookout_url" {
  description = "Where the pipeline asks the gate: the variable LOOKOUT_URL."
  value       = module.platform.lookout_url
}

output "names" {
  description = "What k8s/ is told."
  value       = module.platform.names
}

output "roles_task" {
  description = "What the task that makes the database's roles needs to know."
  value       = module.platform.roles_task
}
