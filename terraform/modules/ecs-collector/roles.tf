# What ECS needs to start the task. The image comes from a public registry.
resource "aws_iam_role" "execution" {
  name                 = "${var.name}-collector-execution"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = jsonencode(local.tasks_of_this_account)
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.this["collector"].arn}:*" },
    ]
  })
}

# What the collector may do in AWS: hand over what it took.
resource "aws_iam_role" "task" {
  name                 = "${var.name}-collector-task"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = jsonencode(local.tasks_of_this_account)
}

resource "aws_iam_role_policy" "task" {
  name = "hand-over"
  role = aws_iam_role.task.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # nothing of X-Ray knows a resource
      { Effect = "Allow", Action = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], Resource = "*" },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = [for name in ["otlp", "metrics"] : "${aws_cloudwatch_log_group.this[name].arn}:*"]
      },
    ]
  })
}
