resource "aws_security_group" "server" {
  name        = "${var.name}-database"
  description = "The database: clients come in, nothing goes out"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-database" }
}

# Who wears this group may connect.
resource "aws_security_group" "client" {
  #checkov:skip=CKV2_AWS_5:worn by the tasks of the module ecs and by the rotation function
  name        = "${var.name}-database-client"
  description = "May connect to the database"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-database-client" }
}

resource "aws_vpc_security_group_ingress_rule" "server" {
  security_group_id            = aws_security_group.server.id
  description                  = "PostgreSQL from its clients"
  referenced_security_group_id = aws_security_group.client.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_ingress_rule" "further" {
  for_each = var.clients

  security_group_id            = aws_security_group.server.id
  description                  = "PostgreSQL from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_egress_rule" "client" {
  security_group_id            = aws_security_group.client.id
  description                  = "PostgreSQL"
  referenced_security_group_id = aws_security_group.server.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

# The rotation function wears the client group too, and has to reach Secrets Manager.
resource "aws_security_group" "rotation" {
  #checkov:skip=CKV2_AWS_5:worn by the rotation function, which a stack of the application repository makes
  name        = "${var.name}-rotation"
  description = "Changes the password of the application"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-rotation" }
}

resource "aws_vpc_security_group_egress_rule" "rotation" {
  security_group_id = aws_security_group.rotation.id
  description       = "Secrets Manager and KMS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
