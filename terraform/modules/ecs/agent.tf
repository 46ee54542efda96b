# The agent that the pipeline asks. Those beside the service see one task each and end with it; this one sees the service
# as clients do, keeps its ledger, tells people, and has an address.
resource "aws_ecs_task_definition" "agent" {
  family                   = local.programs["agent"].name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution["agent"].arn
  task_role_arn            = aws_iam_role.task["agent"].arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  volume {
    name = "ledger"

    efs_volume_configuration {
      file_system_id     = aws_efs_file_system.ledger.id
      transit_encryption = "ENABLED"

      authorization_config {
        access_point_id = aws_efs_access_point.ledger.id
        iam             = "ENABLED"
      }
    }
  }

  container_definitions = jsonencode([merge(local.hardened, {
    name         = "lookout"
    image        = var.images.agent
    command      = ["run", "-c", "/etc/lookout/agent/lookout.yaml"]
    essential    = true
    portMappings = [{ name = "agent", containerPort = local.agent_port, protocol = "tcp" }]
    environment  = [for name, value in merge(local.agent_variables, { TITANIC_URL = var.edge.url }) : { name = name, value = value }]
    secrets = [
      { name = "SLACK_WEBHOOK_URL", valueFrom = "${var.agent_secret_arn}:slack_webhook_url::" },
      { name = "DEPLOY_TOKEN_SHA256", valueFrom = "${var.agent_secret_arn}:deploy_token_sha256::" },
    ]
    mountPoints      = [{ sourceVolume = "ledger", containerPath = "/var/lib/lookout", readOnly = false }]
    healthCheck      = { command = ["CMD", "/lookout", "healthcheck"], interval = 10, timeout = 3, retries = 3, startPeriod = 30 }
    stopTimeout      = 30
    logConfiguration = local.log_configurations["lookout"]
  })])
}

resource "aws_ecs_service" "agent" {
  name                   = "lookout"
  cluster                = aws_ecs_cluster.this.name
  task_definition        = aws_ecs_task_definition.agent.arn
  desired_count          = 1
  launch_type            = "FARGATE"
  platform_version       = "LATEST"
  enable_execute_command = false
  propagate_tags         = "SERVICE"
  # the ledger has one writer: the old task ends before the new one starts, and no zone is balanced by a second one
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  availability_zone_rebalancing      = "DISABLED"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.network.private_subnet_ids
    security_groups  = [aws_security_group.this["agent"].id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this["agent"].arn
  }

  dynamic "load_balancer" {
    for_each = aws_lb_target_group.pages

    content {
      target_group_arn = load_balancer.value.arn
      container_name   = "lookout"
      container_port   = local.agent_port
    }
  }

  depends_on = [aws_efs_mount_target.ledger, aws_lb_listener_rule.pages, aws_iam_role_policy.execution, aws_iam_role_policy.task]
}

# Who watches the one who watches: with the agent away, nothing is deployed and nobody is paged.
resource "aws_cloudwatch_metric_alarm" "gone" {
  alarm_name          = "${var.name}-lookout-gone"
  alarm_description   = "The agent does not run: the gate answers nobody"
  namespace           = "ECS/ContainerInsights"
  metric_name         = "RunningTaskCount"
  dimensions          = { ClusterName = aws_ecs_cluster.this.name, ServiceName = aws_ecs_service.agent.name }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
  alarm_actions       = [var.alarms.topic_arn]
  ok_actions          = [var.alarms.topic_arn]
}
