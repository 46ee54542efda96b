# Names that only the VPC knows: of the database, so that it can move without a deploy, and of the agent.
resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = var.internal_zone
  description = "Names of ${var.name}"
  vpc         = aws_vpc.this.id
}
