# ECS, whole: the service with an agent beside it in each task, the agent that the pipeline asks, and a collector of telemetry.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region

  port           = 8080
  admin_port     = 8081
  agent_port     = 9797
  collector_port = 4318

  # what runs here: the name of each, and what it goes out to
  programs = merge(
    {
      service = { name = var.name, calls = "Registry, secrets, logs, and where the agent tells of incidents" }
      agent   = { name = "${var.name}-lookout", calls = "The service as clients reach it, Slack, registry, secrets, logs" }
    },
    var.images.collector == null ? {} : {
      collector = { name = "${var.name}-collector", calls = "Registry, X-Ray and CloudWatch" }
    },
  )

  # log groups: the programs' own, and what the collector takes
  logs = toset(concat(["service", "agent", "lookout"], var.images.collector == null ? [] : ["collector", "otlp", "metrics"]))

  log_configurations = {
    for name, group in aws_cloudwatch_log_group.this : name => {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = group.name
        "awslogs-region"        = local.region
        "awslogs-stream-prefix" = name
        # a slow log must not make a slow service
        mode              = "non-blocking"
        "max-buffer-size" = "4m"
      }
    }
  }

  hardened = {
    user                   = "65532:65532"
    privileged             = false
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    cpu                    = 0
  }

  # told by its name, so that the programs do not wait for the collector
  otlp_endpoint = var.images.collector == null ? null : "http://collector.${var.network.names.zone}:${local.collector_port}"
  telemetry     = local.otlp_endpoint == null ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT = local.otlp_endpoint }

  # how people reach the agent: the base of every link in what it says
  agent_url   = "http://lookout.${var.network.names.zone}:${local.agent_port}"
  lookout_url = var.pages == null ? local.agent_url : "https://${var.pages.hostname}"
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:how long is an input; a year by default, less where only tests run
  for_each = local.logs

  name              = "/${var.name}/${each.key}"
  kms_key_id        = var.kms_key_arn
  retention_in_days = var.log_retention_days
}

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:worn by the services of service.tf, agent.tf and collector.tf, which this check does not follow by key
  for_each = local.programs

  name        = each.key == "service" ? "${var.name}-service" : each.value.name
  description = "Tasks of the ${each.key}"
  vpc_id      = var.network.vpc_id

  tags = { Name = each.key == "service" ? "${var.name}-service" : each.value.name }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = local.programs

  security_group_id = aws_security_group.this[each.key].id
  description       = each.value.calls
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "observer" {
  for_each = {
    for trio in setproduct(keys(var.observers), ["service-${local.admin_port}", "service-${local.agent_port}", "agent-${local.agent_port}"]) :
    "${trio[0]}-${trio[1]}" => { group = var.observers[trio[0]], program = split("-", trio[1])[0], port = tonumber(split("-", trio[1])[1]) }
  }

  security_group_id            = aws_security_group.this[each.value.program].id
  description                  = "Metrics and the gate"
  referenced_security_group_id = each.value.group
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

# names inside of the VPC for those that have no load balancer
resource "aws_service_discovery_service" "this" {
  for_each = { for program in setsubtract(keys(local.programs), ["service"]) : program => program == "agent" ? "lookout" : program }

  name = each.value

  dns_config {
    namespace_id   = var.network.names.namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}
