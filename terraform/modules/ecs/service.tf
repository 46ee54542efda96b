# The service, with an agent beside it in each task.
locals {
  service  = "titanic"
  verified = var.database_ca_pem != ""

  service_variables = merge(
    {
      ADMIN_PORT   = tostring(local.admin_port)
      API_BASE_URL = var.edge.url
      # the image's own default, taken back: the pieces below say where the passengers are
      DATABASE_URL  = ""
      DB_HOST       = var.database.address
      DB_NAME       = var.database.database
      DB_PORT       = tostring(var.database.port)
      DB_SSLMODE    = local.verified ? "verify-full" : "require"
      DRAIN_SECONDS = tostring(var.drain_seconds)
      ENVIRONMENT   = var.environment
      PORT          = tostring(local.port)
    },
    local.verified ? { PGSSLROOTCERT = trimspace(var.database_ca_pem) } : {},
    local.telemetry,
  )

  # of both agents
  agent_variables = merge(local.telemetry, {
    ENVIRONMENT          = var.environment
    LOOKOUT_EXTERNAL_URL = local.lookout_url
    LOOKOUT_LEDGER       = "/var/lib/lookout/lookout.db"
    LOOKOUT_LISTEN       = "0.0.0.0:${local.agent_port}"
  })

  service_secrets = merge(var.secrets, {
    DB_USER     = "${var.database.secret_arn}:username::"
    DB_PASSWORD = "${var.database.secret_arn}:password::"
  })
}

resource "aws_ecs_task_definition" "service" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.size.cpu
  memory                   = var.size.memory
  execution_role_arn       = aws_iam_role.execution["service"].arn
  task_role_arn            = aws_iam_role.task["service"].arn
  # The deploy workflow starts from the newest revision of the family, so a change made here goes out with the next
  # deploy; and a revision that Terraform replaced stays, because it may be what is gone back to.
  skip_destroy = true

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  # This ledger goes with its task, and may: it holds what one task saw. The one that people and the gate go by is that of
  # agent.tf, which lasts.
  volume {
    name = "ledger"
  }

  container_definitions = jsonencode([
    merge(local.hardened, {
      name             = local.service
      image            = var.images.service
      essential        = true
      portMappings     = [{ name = "http", containerPort = local.port, protocol = "tcp", appProtocol = "http" }]
      environment      = [for name, value in local.service_variables : { name = name, value = value }]
      secrets          = [for name, secret in local.service_secrets : { name = name, valueFrom = secret }]
      healthCheck      = { command = ["CMD", "/titanic", "healthcheck"], interval = 10, timeout = 3, retries = 3, startPeriod = 30 }
      logConfiguration = local.log_configurations["service"]
      # the drain, then 15 seconds for requests in flight, then 5 for spans and logs
      stopTimeout = var.drain_seconds + 20
    }),
    merge(local.hardened, {
      name = "lookout"
      # who watches must never take down what is watched
      essential         = false
      image             = var.images.agent
      cpu               = 128
      memory            = 128
      memoryReservation = 64
      restartPolicy     = { enabled = true, restartAttemptPeriod = 60 }
      dependsOn         = [{ containerName = local.service, condition = "START" }]
      environment = [for name, value in merge(local.agent_variables, {
        TITANIC_METRICS_URL = "http://127.0.0.1:${local.admin_port}/metrics"
        TITANIC_URL         = "http://127.0.0.1:${local.port}"
      }) : { name = name, value = value }]
      mountPoints      = [{ sourceVolume = "ledger", containerPath = "/var/lib/lookout", readOnly = false }]
      healthCheck      = { command = ["CMD", "/lookout", "healthcheck"], interval = 10, timeout = 3, retries = 3, startPeriod = 10 }
      logConfiguration = local.log_configurations["agent"]
      stopTimeout      = 30
    }),
  ])
}

resource "aws_vpc_security_group_ingress_rule" "edge" {
  security_group_id            = aws_security_group.this["service"].id
  description                  = "Requests through the load balancer"
  referenced_security_group_id = var.edge.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "edge" {
  security_group_id            = var.edge.security_group_id
  description                  = "Requests to the service"
  referenced_security_group_id = aws_security_group.this["service"].id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_ecs_service" "service" {
  name                               = local.service
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.service.arn
  desired_count                      = var.tasks.least
  platform_version                   = "1.4.0"
  availability_zone_rebalancing      = "ENABLED"
  enable_execute_command             = false
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 60

  capacity_provider_strategy {
    capacity_provider = "FARGATE"
    # one task is never on borrowed capacity
    base   = 1
    weight = 100 - var.spot_share
  }

  dynamic "capacity_provider_strategy" {
    for_each = var.spot_share > 0 ? [var.spot_share] : []

    content {
      capacity_provider = "FARGATE_SPOT"
      weight            = capacity_provider_strategy.value
    }
  }

  deployment_controller {
    type = "ECS"
  }

  deployment_configuration {
    strategy             = "CANARY"
    bake_time_in_minutes = tostring(var.bake_minutes)

    canary_configuration {
      canary_percent              = var.canary.percent
      canary_bake_time_in_minutes = tostring(var.canary.minutes)
    }
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  alarms {
    alarm_names = var.alarms.rollback_alarms
    enable      = true
    rollback    = true
  }

  network_configuration {
    subnets          = var.network.private_subnet_ids
    security_groups  = [aws_security_group.this["service"].id, var.database.client_security_group_id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = var.edge.target_group_arns["blue"]
    container_name   = local.service
    container_port   = local.port

    advanced_configuration {
      alternate_target_group_arn = var.edge.target_group_arns["green"]
      production_listener_rule   = var.edge.listener_rule_arns["production"]
      test_listener_rule         = var.edge.listener_rule_arns["test"]
      role_arn                   = aws_iam_role.deployment.arn
    }
  }

  # Releases are the deploy workflow's: it registers a revision with a new digest. How many tasks run is the
  # autoscaler's, and which group is blue is ECS's.
  lifecycle {
    ignore_changes = [task_definition, desired_count, load_balancer]
  }

  depends_on = [
    aws_ecs_cluster_capacity_providers.this,
    aws_iam_role_policy.execution,
    aws_iam_role_policy_attachment.deployment,
  ]
}
