output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Where the load balancer stands."
  value       = [for zone in var.availability_zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Where programs run."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "database_subnet_ids" {
  description = "Where data are kept."
  value       = [for zone in var.availability_zones : aws_subnet.database[zone].id]
}

output "names" {
  description = "The zone that only the VPC knows: its name, and its namespace in Cloud Map."
  value       = { zone = aws_service_discovery_private_dns_namespace.this.name, namespace_id = aws_service_discovery_private_dns_namespace.this.id }
}
