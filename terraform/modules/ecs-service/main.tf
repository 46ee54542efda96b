data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

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
  for_each = toset(["service", "agent"])

  name              = "/${var.name}/${each.key}"
  kms_key_id        = var.kms_key_arn
  retention_in_days = var.log_retention_days
}

resource "aws_security_group" "this" {
  name        = "${var.name}-service"
  description = "Tasks of the service"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-service" }
}

resource "aws_vpc_security_group_ingress_rule" "edge" {
  security_group_id            = aws_security_group.this.id
  description                  = "Requests through the load balancer"
  referenced_security_group_id = var.edge.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_ingress_rule" "observer" {
  for_each = {
    for pair in setproduct(keys(var.observers), [local.admin_port, local.agent_port]) :
    "${pair[0]}-${pair[1]}" => { group = var.observers[pair[0]], port = pair[1] }
  }

  security_group_id            = aws_security_group.this.id
  description                  = "Metrics and the gate"
  referenced_security_group_id = each.value.group
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "edge" {
  security_group_id            = var.edge.security_group_id
  description                  = "Requests to the service"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "Registry, secrets, logs, and where the agent tells of incidents"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_ecs_service" "this" {
  name                               = local.service
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.this.arn
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
    alarm_names = var.rollback_alarms
    enable      = true
    rollback    = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id, var.database.client_security_group_id]
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
