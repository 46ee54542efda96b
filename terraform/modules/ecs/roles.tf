locals {
  # roles that a service of AWS takes, in this account
  taken_by = {
    for service in ["ecs-tasks", "ecs", "scheduler"] : service => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "${service}.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      }]
    })
  }

  # a reference may go on with a key of the JSON (`arn:…:secret:name:key::`); what is read is the whole secret
  secret_arns = {
    service = distinct([for arn in concat([var.database.secret_arn], values(var.secrets)) : replace(arn, "/^((?:[^:]*:){6}[^:]*):.*$/", "$1")])
    agent   = [var.agent_secret_arn]
    # somebody else's image, from a public registry, without a secret
    collector = []
  }

  log_groups   = { service = ["service", "agent"], agent = ["lookout"], collector = ["collector"] }
  repositories = { service = "*", agent = "lookout-titanic", collector = "none" }

  # what the programs themselves may do in AWS; the service may do nothing
  task_statements = merge(
    {
      agent = [{
        Effect    = "Allow"
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        Resource  = aws_efs_file_system.ledger.arn
        Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.ledger.arn } }
      }]
    },
    var.images.collector == null ? {} : {
      collector = [
        # nothing of X-Ray knows a resource
        { Effect = "Allow", Action = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], Resource = "*" },
        {
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
          Resource = [for name in ["otlp", "metrics"] : "${aws_cloudwatch_log_group.this[name].arn}:*"]
        },
      ]
    },
  )
}

# What ECS needs to start a task.
resource "aws_iam_role" "execution" {
  for_each = local.programs

  name                 = "${each.value.name}-execution"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = local.taken_by["ecs-tasks"]
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.programs

  name = "start"
  role = aws_iam_role.execution[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [for name in local.log_groups[each.key] : "${aws_cloudwatch_log_group.this[name].arn}:*"]
      }],
      [for statement in [
        { Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
        {
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = "arn:aws:ecr:${local.region}:${local.account}:repository/${var.name}/${local.repositories[each.key]}"
        },
        { Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = local.secret_arns[each.key] },
        { Effect = "Allow", Action = "kms:Decrypt", Resource = var.kms_key_arn },
      ] : statement if each.key != "collector"],
    )
  })
}

resource "aws_iam_role" "task" {
  for_each = local.programs

  name                 = "${each.value.name}-task"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = local.taken_by["ecs-tasks"]
}

resource "aws_iam_role_policy" "task" {
  for_each = local.task_statements

  name   = "task"
  role   = aws_iam_role.task[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

# What ECS needs to move traffic between blue and green.
resource "aws_iam_role" "deployment" {
  name                 = "${var.name}-deployment"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = local.taken_by["ecs"]
}

resource "aws_iam_role_policy_attachment" "deployment" {
  role       = aws_iam_role.deployment.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers"
}
