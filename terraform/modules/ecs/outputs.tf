output "cluster" {
  description = "The cluster."
  value       = aws_ecs_cluster.this.name
}

output "service" {
  description = "The service."
  value       = aws_ecs_service.service.name
}

output "task_family" {
  description = "Family of the task definition that releases add revisions to."
  value       = aws_ecs_task_definition.service.family
}

output "security_group_id" {
  description = "What tasks wear: the way out to AWS."
  value       = aws_security_group.this["service"].id
}

output "lookout_url" {
  description = "Where the pipeline asks the gate, from inside the VPC: the variable LOOKOUT_URL."
  value       = local.agent_url
}

output "ledger_arn" {
  description = "The file system of the ledger, for backups."
  value       = aws_efs_file_system.ledger.arn
}

output "otlp_endpoint" {
  description = "Where both programs send telemetry. Null without a collector."
  value       = local.otlp_endpoint
}
