# The collector of telemetry: traces to X-Ray, metrics and log lines to CloudWatch. There is one where an image is named.
locals {
  health = 13133

  # components are those of opentelemetry-collector-contrib, as in k8s/cluster/collector
  collector = var.images.collector == null ? null : {
    receivers = { otlp = { protocols = { http = { endpoint = "0.0.0.0:${local.collector_port}" } } } }
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

  senders = var.images.collector == null ? toset([]) : toset(["service", "agent"])
}

resource "aws_vpc_security_group_ingress_rule" "sender" {
  for_each = local.senders

  security_group_id            = aws_security_group.this["collector"].id
  description                  = "Telemetry of ${each.key}"
  referenced_security_group_id = aws_security_group.this[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = local.collector_port
  to_port                      = local.collector_port
}

resource "aws_vpc_security_group_egress_rule" "sender" {
  for_each = local.senders

  security_group_id            = aws_security_group.this[each.key].id
  description                  = "Telemetry"
  referenced_security_group_id = aws_security_group.this["collector"].id
  ip_protocol                  = "tcp"
  from_port                    = local.collector_port
  to_port                      = local.collector_port
}

resource "aws_ecs_task_definition" "collector" {
  count = var.images.collector == null ? 0 : 1

  family                   = local.programs["collector"].name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution["collector"].arn
  task_role_arn            = aws_iam_role.task["collector"].arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  container_definitions = jsonencode([merge(local.hardened, {
    name             = "collector"
    image            = var.images.collector
    command          = ["--config=env:COLLECTOR_CONFIG"]
    essential        = true
    user             = "10001:10001"
    portMappings     = [{ name = "otlp", containerPort = local.collector_port, protocol = "tcp" }]
    environment      = [{ name = "COLLECTOR_CONFIG", value = yamlencode(local.collector) }]
    logConfiguration = local.log_configurations["collector"]
  })])
}

resource "aws_ecs_service" "collector" {
  count = var.images.collector == null ? 0 : 1

  name                   = "collector"
  cluster                = aws_ecs_cluster.this.name
  task_definition        = aws_ecs_task_definition.collector[0].arn
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
    subnets          = var.network.private_subnet_ids
    security_groups  = [aws_security_group.this["collector"].id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this["collector"].arn
  }

  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.task]
}
