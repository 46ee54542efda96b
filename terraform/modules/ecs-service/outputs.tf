output "cluster" {
  description = "The cluster."
  value       = aws_ecs_cluster.this.name
}

output "service" {
  description = "The service."
  value       = aws_ecs_service.this.name
}

output "service_arn" {
  description = "The service, for the role that deploys it."
  value       = aws_ecs_service.this.arn
}

output "task_family" {
  description = "Family of the task definition that releases add revisions to."
  value       = aws_ecs_task_definition.this.family
}

output "security_group_id" {
  description = "What tasks wear: the way out to AWS."
  value       = aws_security_group.this.id
}
