# Run once after the first apply, and whenever roles.sql changed: see terraform/README.md. Terraform itself has no way
# to the database, and should have none.
locals {
  administrator = aws_db_instance.this.master_user_secret[0].secret_arn
}

resource "aws_cloudwatch_log_group" "roles" {
  #checkov:skip=CKV_AWS_338:how long is an input; a year by default, less where only tests run
  name              = "/${var.name}/database-roles"
  kms_key_id        = var.kms_key_arn
  retention_in_days = var.log_retention_days
}

resource "aws_iam_role" "roles" {
  name                 = "${var.name}-database-roles"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "roles" {
  name = "start"
  role = aws_iam_role.roles.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = [local.administrator, aws_secretsmanager_secret.application.arn]
      },
      { Effect = "Allow", Action = "kms:Decrypt", Resource = var.kms_key_arn },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.roles.arn}:*"
      },
    ]
  })
}

resource "aws_ecs_task_definition" "roles" {
  family                   = "${var.name}-database-roles"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.roles.arn

  container_definitions = jsonencode([{
    name                   = "psql"
    image                  = var.client_image
    essential              = true
    readonlyRootFilesystem = true
    user                   = "999:999"
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    # standard input, because \gexec and \getenv are for scripts
    entryPoint = ["sh", "-ec", "printf %s \"$ROLES_SQL\" | psql --no-psqlrc --quiet"]
    command    = []
    environment = [
      { name = "APPLICATION", value = var.application },
      { name = "CONNECTION_LIMIT", value = tostring(var.connection_limit) },
      { name = "PGDATABASE", value = var.application },
      { name = "PGHOST", value = aws_db_instance.this.address },
      { name = "PGSSLMODE", value = "require" },
      { name = "PGUSER", value = "administrator" },
      { name = "ROLES_SQL", value = file("${path.module}/roles.sql") },
    ]
    secrets = [
      { name = "PGPASSWORD", valueFrom = "${local.administrator}:password::" },
      { name = "APPLICATION_PASSWORD", valueFrom = "${aws_secretsmanager_secret.application.arn}:password::" },
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.roles.name
        "awslogs-region"        = data.aws_region.current.region
        "awslogs-stream-prefix" = "psql"
      }
    }
  }])
}
