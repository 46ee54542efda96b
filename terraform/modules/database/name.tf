# `database.<zone>`, the name that k8s/ knows. ECS takes the address of RDS itself, whose certificate it can verify.
resource "aws_service_discovery_service" "database" {
  name = "database"

  dns_config {
    namespace_id   = var.names.namespace_id
    routing_policy = "WEIGHTED"

    dns_records {
      type = "CNAME"
      ttl  = 30
    }
  }
}

resource "aws_service_discovery_instance" "database" {
  service_id  = aws_service_discovery_service.database.id
  instance_id = var.name
  attributes  = { AWS_INSTANCE_CNAME = aws_db_instance.this.address }
}
