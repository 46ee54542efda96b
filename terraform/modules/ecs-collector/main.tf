# The collector of telemetry on ECS: traces to X-Ray, metrics and log lines to CloudWatch.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  port   = 4318
  health = 13133
  region = data.aws_region.current.region

  # components are those of opentelemetry-collector-contrib, as in k8s/cluster/collector
  config = {
    receivers = { otlp = { protocols = { http = { endpoint = "0.0.0.0:${local.port}" } } } }
    processors = {
      # refuses before ECS kills: senders try again
      memory_limiter = { check_interval = "1s", limit_percentage = 80, spike_limit_percentage = 20 }
      batch          = { timeout = "5s", send_batch_max_size = 2048 }
    }
    exporters = {
      awsxray           = { region = local.region }
      awscloudwatchlogs = { region = local.region, log_group_name = aws_cloudwatch_log_group.this["otlp"].name, log_stream_name = "collector" }
      awsemf            = { region = local.region, log_group_name = aws_cloudwatch_log_group.this["metrics"].name, namespace = var.name }
    }
    extensions = { health_check = { endpoint = "0.0.0.0:${local.health}" } }
    service = {
      extensions = ["health_check"]
      pipelines = {
        for signal, exporter in { traces = "awsxray", metrics = "awsemf", logs = "awscloudwatchlogs" } :
        signal => { receivers = ["otlp"], processors = ["memory_limiter", "batch"], exporters = [exporter] }
      }
    }
  }

  tasks_of_this_account = {
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  }
}

# the collector's own log, what it takes as log lines, and metrics
resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:how long is an input; a year by default, less where only tests run
  for_each = toset(["collector", "otlp", "metrics"])

  name              = "/${var.name}/${each.key}"
  kms_key_id        = var.kms_key_arn
  retention_in_days = var.log_retention_days
}

resource "aws_security_group" "this" {
  name        = "${var.name}-collector"
  description = "The collector of telemetry"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-collector" }
}

resource "aws_vpc_security_group_ingress_rule" "sender" {
  for_each = var.senders

  security_group_id            = aws_security_group.this.id
  description                  = "Telemetry of ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "sender" {
  for_each = var.senders

  security_group_id            = each.value
  description                  = "Telemetry"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "Registry, X-Ray and CloudWatch"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_service_discovery_service" "this" {
  name = "collector"

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
  family                   = "${var.name}-collector"
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

  container_definitions = jsonencode([{
    name                   = "collector"
    image                  = var.image
    command                = ["--config=env:COLLECTOR_CONFIG"]
    essential              = true
    user                   = "10001:10001"
    privileged             = false
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    portMappings           = [{ name = "otlp", containerPort = local.port, protocol = "tcp" }]
    environment            = [{ name = "COLLECTOR_CONFIG", value = yamlencode(local.config) }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this["collector"].name
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = "collector"
      }
    }
  }])
}

resource "aws_ecs_service" "this" {
  name                   = "collector"
  cluster                = var.cluster
  task_definition        = aws_ecs_task_definition.this.arn
  desired_count          = 1
  launch_type            = "FARGATE"
  platform_version       = "LATEST"
  enable_execute_command = false
  propagate_tags         = "SERVICE"

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

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.task]
}
