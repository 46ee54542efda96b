# The agent that the pipeline asks. Those beside the service see one task each and end with it; this one sees the service
# as clients do, keeps its ledger, tells people, and has an address.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  port = 9797
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:how long is an input; a year by default, less where only tests run
  name              = "/${var.name}/lookout"
  kms_key_id        = var.kms_key_arn
  retention_in_days = var.log_retention_days
}

resource "aws_security_group" "this" {
  name        = "${var.name}-lookout"
  description = "The agent that answers the gate"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-lookout" }
}

resource "aws_vpc_security_group_ingress_rule" "observer" {
  for_each = var.observers

  security_group_id            = aws_security_group.this.id
  description                  = "The gate and metrics, for ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "The service as clients reach it, Slack, registry, secrets, logs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_service_discovery_service" "this" {
  name = "lookout"

  dns_config {
    namespace_id   = var.names.namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

resource "aws_ecs_task_definition" "this" {
  family                   = "${var.name}-lookout"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

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

  container_definitions = jsonencode([{
    name                   = "lookout"
    image                  = var.image
    command                = ["run", "-c", "/etc/lookout/agent/lookout.yaml"]
    essential              = true
    user                   = "65532:65532"
    privileged             = false
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    portMappings           = [{ name = "agent", containerPort = local.port, protocol = "tcp" }]
    environment = [for name, value in merge(var.otlp_endpoint == null ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT = var.otlp_endpoint }, {
      ENVIRONMENT          = var.environment
      LOOKOUT_EXTERNAL_URL = var.pages == null ? local.url : "https://${var.pages.hostname}"
      LOOKOUT_LEDGER       = "/var/lib/lookout/lookout.db"
      LOOKOUT_LISTEN       = "0.0.0.0:${local.port}"
      TITANIC_URL          = var.url
    }) : { name = name, value = value }]
    secrets = [
      { name = "SLACK_WEBHOOK_URL", valueFrom = "${var.secret_arn}:slack_webhook_url::" },
      { name = "DEPLOY_TOKEN_SHA256", valueFrom = "${var.secret_arn}:deploy_token_sha256::" },
    ]
    mountPoints = [{ sourceVolume = "ledger", containerPath = "/var/lib/lookout", readOnly = false }]
    healthCheck = { command = ["CMD", "/lookout", "healthcheck"], interval = 10, timeout = 3, retries = 3, startPeriod = 30 }
    stopTimeout = 30
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this.name
        "awslogs-region"        = data.aws_region.current.region
        "awslogs-stream-prefix" = "lookout"
      }
    }
  }])
}

resource "aws_ecs_service" "this" {
  name                   = "lookout"
  cluster                = var.cluster
  task_definition        = aws_ecs_task_definition.this.arn
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
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this.arn
  }

  dynamic "load_balancer" {
    for_each = aws_lb_target_group.pages

    content {
      target_group_arn = load_balancer.value.arn
      container_name   = "lookout"
      container_port   = local.port
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
  dimensions          = { ClusterName = var.cluster, ServiceName = aws_ecs_service.this.name }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}
