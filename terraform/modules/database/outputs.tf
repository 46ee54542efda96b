output "address" {
  description = "Host of the database."
  value       = aws_db_instance.this.address
}

output "name" {
  description = "Host of the database as the VPC knows it, wherever it is."
  value       = "${aws_service_discovery_service.database.name}.${var.names.zone}"
}

output "port" {
  description = "Port of the database."
  value       = aws_db_instance.this.port
}

output "identifier" {
  description = "Name of the instance, for alarms."
  value       = aws_db_instance.this.identifier
}

output "arn" {
  description = "The instance, for backups."
  value       = aws_db_instance.this.arn
}

output "database" {
  description = "Name of the database."
  value       = var.application
}

output "secret_arn" {
  description = "The application's login, as JSON with `username` and `password`."
  value       = aws_secretsmanager_secret.application.arn
}

output "client_security_group_id" {
  description = "Who wears it may connect."
  value       = aws_security_group.client.id
}

output "roles_task_definition" {
  description = "The task that makes the application's roles."
  value       = aws_ecs_task_definition.roles.family
}

output "subnet_group" {
  description = "Where databases are put, also restored ones."
  value       = aws_db_subnet_group.this.name
}

output "server_security_group_id" {
  description = "What the database wears, also a restored one."
  value       = aws_security_group.server.id
}

output "replica_address" {
  description = "Host that answers reads; null without a replica."
  value       = one(aws_db_instance.replica[*].address)
}
