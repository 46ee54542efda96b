# A task reads its secrets when it starts, and a login lasts for two rotations of 30 days. So tasks are renewed every
# week, through the same blue and green as any release.
resource "aws_iam_role" "refresh" {
  name                 = "${var.name}-refresh"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = local.taken_by["scheduler"]
}

resource "aws_iam_role_policy" "refresh" {
  name = "renew"
  role = aws_iam_role.refresh.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "ecs:UpdateService", Resource = aws_ecs_service.service.arn },
      # the schedule itself is encrypted
      { Effect = "Allow", Action = "kms:Decrypt", Resource = var.kms_key_arn },
    ]
  })
}

resource "aws_scheduler_schedule" "refresh" {
  name                         = "${var.name}-refresh"
  schedule_expression          = "cron(0 9 ? * TUE *)"
  schedule_expression_timezone = "UTC"
  kms_key_arn                  = var.kms_key_arn

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 60
  }

  target {
    arn      = "arn:aws:scheduler:::aws-sdk:ecs:updateService"
    role_arn = aws_iam_role.refresh.arn

    input = jsonencode({
      Cluster            = aws_ecs_cluster.this.name
      Service            = aws_ecs_service.service.name
      ForceNewDeployment = true
    })

    retry_policy {
      maximum_retry_attempts = 3
    }
  }
}
