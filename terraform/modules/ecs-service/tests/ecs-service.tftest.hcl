mock_provider "aws" {}

variables {
  name        = "titanic-test"
  environment = "dev"
  vpc_id      = "vpc-1"
  subnet_ids  = ["subnet-1", "subnet-2"]
  edge = {
    security_group_id    = "sg-edge"
    load_balancer_suffix = "app/titanic-test/1"
    target_group_arns    = { blue = "arn:blue", green = "arn:green" }
    listener_rule_arns   = { production = "arn:production", test = "arn:test" }
    url                  = "https://api.example.com"
  }
  database = {
    address                  = "db.example.internal"
    port                     = 5432
    database                 = "titanic"
    secret_arn               = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:login"
    client_security_group_id = "sg-client"
  }
  service_image            = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/titanic-test/titanic@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  lookout_url              = "https://lookout.example.com"
  agent_image              = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/titanic-test/lookout-titanic@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  secrets                  = { API_KEYS = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf:api_keys::" }
  rollback_alarms          = ["errors"]
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/test"
  permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
}

run "a_bad_release_is_taken_back" {
  assert {
    condition     = aws_ecs_service.this.deployment_circuit_breaker[0].enable && aws_ecs_service.this.deployment_circuit_breaker[0].rollback
    error_message = "the circuit breaker must roll back"
  }

  assert {
    condition     = one(aws_ecs_service.this.alarms).enable && one(aws_ecs_service.this.alarms).rollback
    error_message = "alarms must roll back"
  }

  assert {
    condition     = aws_ecs_service.this.deployment_configuration[0].strategy == "CANARY" && tonumber(aws_ecs_service.this.deployment_configuration[0].bake_time_in_minutes) >= 5
    error_message = "the former version must stay until the alarms had time to speak"
  }

  assert {
    condition     = aws_ecs_service.this.deployment_configuration[0].canary_configuration[0].canary_percent <= 50
    error_message = "a new version gets a share first"
  }

  assert {
    condition     = aws_ecs_task_definition.this.skip_destroy
    error_message = "what is gone back to must still be there"
  }
}

run "the_agent_never_takes_the_service_down" {
  assert {
    condition     = [for container in jsondecode(aws_ecs_task_definition.this.container_definitions) : container.essential if container.name == "lookout"] == [false]
    error_message = "the agent must not be essential"
  }

  assert {
    condition     = [for container in jsondecode(aws_ecs_task_definition.this.container_definitions) : container.essential if container.name == "titanic"] == [true]
    error_message = "the service must be essential"
  }

  assert {
    condition     = alltrue([for container in jsondecode(aws_ecs_task_definition.this.container_definitions) : can(regex("@sha256:[0-9a-f]{64}$", container.image))])
    error_message = "images are named by digest"
  }
}

run "containers_have_no_rights" {
  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.this.container_definitions) :
      container.readonlyRootFilesystem && container.user == "65532:65532" && !container.privileged && container.linuxParameters.capabilities.drop == ["ALL"]
    ])
    error_message = "containers run as nobody, without capabilities, on a file system that they cannot change"
  }

  assert {
    condition     = aws_ecs_service.this.network_configuration[0].assign_public_ip == false && aws_ecs_service.this.enable_execute_command == false
    error_message = "tasks have no public address and no way in"
  }

  assert {
    condition = alltrue([
      for variable in flatten([for container in jsondecode(aws_ecs_task_definition.this.container_definitions) : container.environment]) :
      length(regexall("(?i)password|token|webhook", variable.name)) == 0
    ])
    error_message = "secrets come from Secrets Manager"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement :
      statement.Resource != "*" || statement.Action == "ecr:GetAuthorizationToken"
    ])
    error_message = "the execution role reads its own secrets, images and logs only"
  }

  assert {
    condition = contains(flatten([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Resource if statement.Action == "secretsmanager:GetSecretValue"
    ]), "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf")
    error_message = "a key of a secret is no resource: IAM knows the secret"
  }
}

run "requests_come_through_the_load_balancer_only" {
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.edge.referenced_security_group_id == "sg-edge"
      && aws_vpc_security_group_ingress_rule.edge.from_port == 8080
      && aws_vpc_security_group_ingress_rule.edge.to_port == 8080
    )
    error_message = "the public port is for the load balancer, the admin port for nobody"
  }
}

run "stopping_waits_for_the_drain" {
  assert {
    condition = [
      for container in jsondecode(aws_ecs_task_definition.this.container_definitions) : container.stopTimeout if container.name == "titanic"
    ][0] >= var.drain_seconds + 15
    error_message = "the service needs its drain and 15 seconds"
  }
}

run "with_certificates_the_name_is_verified" {
  variables {
    database_ca_pem = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
  }

  assert {
    condition = contains(flatten([
      for container in jsondecode(aws_ecs_task_definition.this.container_definitions) : container.environment
    ]), { name = "DB_SSLMODE", value = "verify-full" })
    error_message = "a known authority means a verified name"
  }
}

run "a_tag_is_refused" {
  command = plan

  variables {
    agent_image = "ghcr.io/lookout-dev/lookout:latest"
  }

  expect_failures = [var.agent_image]
}

run "no_alarm_is_refused" {
  command = plan

  variables {
    rollback_alarms = []
  }

  expect_failures = [var.rollback_alarms]
}

run "tasks_are_there_before_the_load_of_the_morning" {
  variables {
    scheduled_tasks = {
      morning = { schedule = "cron(30 6 ? * MON-FRI *)", least = 4, timezone = "Europe/Berlin" }
      evening = { schedule = "cron(0 20 ? * MON-FRI *)", least = 2, timezone = "Europe/Berlin" }
    }
  }

  assert {
    condition     = one(aws_appautoscaling_scheduled_action.this["morning"].scalable_target_action).min_capacity == "4" && one(aws_appautoscaling_scheduled_action.this["evening"].scalable_target_action).min_capacity == "2"
    error_message = "the least number of tasks must follow the time of day"
  }

  assert {
    condition     = alltrue([for action in aws_appautoscaling_scheduled_action.this : one(action.scalable_target_action).max_capacity == tostring(var.tasks.most)])
    error_message = "a time of day must not lower how far usage may scale"
  }
}

run "more_tasks_than_the_most_are_refused" {
  command = plan

  variables {
    scheduled_tasks = { night = { schedule = "cron(0 2 * * ? *)", least = 100 } }
  }

  expect_failures = [var.scheduled_tasks]
}
