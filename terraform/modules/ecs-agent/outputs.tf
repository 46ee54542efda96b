locals {
  url = "http://${aws_service_discovery_service.this.name}.${var.names.zone}:${local.port}"
}

output "url" {
  description = "Where the pipeline asks the gate, from inside the VPC: the variable LOOKOUT_URL."
  value       = local.url
}

output "ledger_arn" {
  description = "The file system of the ledger, for backups."
  value       = aws_efs_file_system.ledger.arn
}

output "security_group_id" {
  description = "What the agent wears."
  value       = aws_security_group.this.id
}
