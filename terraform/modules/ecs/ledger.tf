# The ledger outlives its task: on a file system in every zone, which AWS Backup copies. One process holds it, under a lock
# that a second one would wait for in vain; nothing else may mount it.
resource "aws_efs_file_system" "ledger" {
  #checkov:skip=CKV2_AWS_18:the platform hands its ARN to the module backup, which this check cannot follow
  creation_token  = "${var.name}-ledger"
  encrypted       = true
  kms_key_id      = var.kms_key_arn
  throughput_mode = "elastic"

  tags = { Name = "${var.name}-ledger" }
}

resource "aws_efs_access_point" "ledger" {
  file_system_id = aws_efs_file_system.ledger.id

  # whoever comes in here is the agent, and stays in its folder
  posix_user {
    uid = 65532
    gid = 65532
  }

  root_directory {
    path = "/lookout"

    creation_info {
      owner_uid   = 65532
      owner_gid   = 65532
      permissions = "0700"
    }
  }

  tags = { Name = "${var.name}-ledger" }
}

resource "aws_efs_file_system_policy" "ledger" {
  file_system_id = aws_efs_file_system.ledger.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TheAgentThroughItsDoor"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.task["agent"].arn }
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        Resource  = aws_efs_file_system.ledger.arn
        Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.ledger.arn } }
      },
      {
        Sid       = "NothingInTheClear"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "*"
        Resource  = aws_efs_file_system.ledger.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_security_group" "ledger" {
  name        = "${var.name}-ledger"
  description = "The file system of the ledger: the agent comes in"
  vpc_id      = var.network.vpc_id

  tags = { Name = "${var.name}-ledger" }
}

resource "aws_vpc_security_group_ingress_rule" "ledger" {
  security_group_id            = aws_security_group.ledger.id
  description                  = "NFS from the agent"
  referenced_security_group_id = aws_security_group.this["agent"].id
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
}

resource "aws_vpc_security_group_egress_rule" "ledger" {
  security_group_id            = aws_security_group.this["agent"].id
  description                  = "NFS to the ledger"
  referenced_security_group_id = aws_security_group.ledger.id
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
}

resource "aws_efs_mount_target" "ledger" {
  count = length(var.network.private_subnet_ids)

  file_system_id  = aws_efs_file_system.ledger.id
  subnet_id       = var.network.private_subnet_ids[count.index]
  security_groups = [aws_security_group.ledger.id]
}
