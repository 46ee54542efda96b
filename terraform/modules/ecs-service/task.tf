locals {
  service    = "titanic"
  port       = 8080
  admin_port = 8081
  agent_port = 9797
  verified   = var.database_ca_pem != ""

  hardened = {
    user                   = "65532:65532"
    privileged             = false
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    cpu                    = 0
  }

  logs = {
    for name, group in aws_cloudwatch_log_group.this : name => {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = group.name
        "awslogs-region"        = data.aws_region.current.region
        "awslogs-stream-prefix" = name
        # a slow log must not make a slow service
        mode              = "non-blocking"
        "max-buffer-size" = "4m"
      }
    }
  }

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

  telemetry = var.otlp_endpoint == null ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT = var.otlp_endpoint }

  agent_variables = merge(local.telemetry, {
    ENVIRONMENT          = var.environment
    LOOKOUT_LEDGER       = "/var/lib/lookout/lookout.db"
    LOOKOUT_LISTEN       = "0.0.0.0:${local.agent_port}"
    TITANIC_METRICS_URL  = "http://127.0.0.1:${local.admin_port}/metrics"
    TITANIC_URL          = "http://127.0.0.1:${local.port}"
    LOOKOUT_EXTERNAL_URL = var.lookout_url
  })

  service_secrets = merge(var.secrets, {
    DB_USER     = "${var.database.secret_arn}:username::"
    DB_PASSWORD = "${var.database.secret_arn}:password::"
  })
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.size.cpu
  memory                   = var.size.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  # The deploy workflow starts from the newest revision of the family, so a change made here goes out with the next
  # deploy; and a revision that Terraform replaced stays, because it may be what is gone back to.
  skip_destroy = true

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  # This ledger goes with its task, and may: it holds what one task saw. The one that people and the gate go by is that of
  # the module ecs-agent, which lasts.
  volume {
    name = "ledger"
  }

  container_definitions = jsonencode([
    merge(local.hardened, {
      name             = local.service
      image            = var.service_image
      essential        = true
      portMappings     = [{ name = "http", containerPort = local.port, protocol = "tcp", appProtocol = "http" }]
      environment      = [for name, value in local.service_variables : { name = name, value = value }]
      secrets          = [for name, secret in local.service_secrets : { name = name, valueFrom = secret }]
      healthCheck      = { command = ["CMD", "/titanic", "healthcheck"], interval = 10, timeout = 3, retries = 3, startPeriod = 30 }
      logConfiguration = local.logs["service"]
      # the drain, then 15 seconds for requests in flight, then 5 for spans and logs
      stopTimeout = var.drain_seconds + 20
    }),
    merge(local.hardened, {
      name = "lookout"
      # who watches must never take down what is watched
      essential         = false
      image             = var.agent_image
      cpu               = 128
      memory            = 128
      memoryReservation = 64
      restartPolicy     = { enabled = true, restartAttemptPeriod = 60 }
      dependsOn         = [{ containerName = local.service, condition = "START" }]
      environment       = [for name, value in local.agent_variables : { name = name, value = value }]
      mountPoints       = [{ sourceVolume = "ledger", containerPath = "/var/lib/lookout", readOnly = false }]
      healthCheck       = { command = ["CMD", "/lookout", "healthcheck"], interval = 10, timeout = 3, retries = 3, startPeriod = 10 }
      logConfiguration  = local.logs["agent"]
      stopTimeout       = 30
    }),
  ])
}
