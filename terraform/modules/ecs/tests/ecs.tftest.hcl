mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "titanic-test"
  environment = "dev"
  network = {
    vpc_id             = "vpc-1"
    private_subnet_ids = ["subnet-1", "subnet-2"]
    names              = { zone = "test.titanic.internal", namespace_id = "ns-1" }
  }
  edge = {
    security_group_id    = "sg-edge"
    load_balancer_suffix = "app/titanic-test/1"
    target_group_arns    = { blue = "arn:blue", green = "arn:green" }
    listener_rule_arns   = { production = "arn:production", test = "arn:test" }
    listener_arn         = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/titanic-test/1/1"
    load_balancer        = { dns_name = "edge.example.com", zone_id = "Z2" }
    url                  = "https://api.example.com"
  }
  database = {
    address                  = "db.example.internal"
    port                     = 5432
    database                 = "titanic"
    secret_arn               = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:login"
    client_security_group_id = "sg-client"
  }
  images = {
    service   = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/titanic-test/titanic@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    agent     = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/titanic-test/lookout-titanic@sha256:1111111111111111111111111111111111111111111111111111111111111111"
    collector = "docker.io/otel/opentelemetry-collector-contrib@sha256:2222222222222222222222222222222222222222222222222222222222222222"
  }
  agent_secret_arn         = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:titanic-test/lookout-AbCdEf"
  secrets                  = { API_KEYS = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf:api_keys::" }
  alarms                   = { rollback_alarms = ["errors"], topic_arn = "arn:aws:sns:eu-central-1:123456789012:alarms" }
  observers                = { runners = "sg-runners" }
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/test"
  permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
}

run "a_bad_release_is_taken_back" {
  assert {
    condition     = aws_ecs_service.service.deployment_circuit_breaker[0].enable && aws_ecs_service.service.deployment_circuit_breaker[0].rollback
    error_message = "the circuit breaker must roll back"
  }

  assert {
    condition     = one(aws_ecs_service.service.alarms).enable && one(aws_ecs_service.service.alarms).rollback
    error_message = "alarms must roll back"
  }

  assert {
    condition     = aws_ecs_service.service.deployment_configuration[0].strategy == "CANARY" && tonumber(aws_ecs_service.service.deployment_configuration[0].bake_time_in_minutes) >= 5
    error_message = "the former version must stay until the alarms had time to speak"
  }

  assert {
    condition     = aws_ecs_service.service.deployment_configuration[0].canary_configuration[0].canary_percent <= 50
    error_message = "a new version gets a share first"
  }

  assert {
    condition     = aws_ecs_task_definition.service.skip_destroy
    error_message = "what is gone back to must still be there"
  }
}

run "the_agent_never_takes_the_service_down" {
  assert {
    condition     = [for container in jsondecode(aws_ecs_task_definition.service.container_definitions) : container.essential if container.name == "lookout"] == [false]
    error_message = "the agent must not be essential"
  }

  assert {
    condition     = [for container in jsondecode(aws_ecs_task_definition.service.container_definitions) : container.essential if container.name == "titanic"] == [true]
    error_message = "the service must be essential"
  }

  assert {
    condition     = alltrue([for container in jsondecode(aws_ecs_task_definition.service.container_definitions) : can(regex("@sha256:[0-9a-f]{64}$", container.image))])
    error_message = "images are named by digest"
  }
}

run "containers_have_no_rights" {
  assert {
    condition = alltrue([
      for container in flatten([for task in [aws_ecs_task_definition.service, aws_ecs_task_definition.agent, aws_ecs_task_definition.collector[0]] : jsondecode(task.container_definitions)]) :
      container.readonlyRootFilesystem && contains(["65532:65532", "10001:10001"], container.user) && !container.privileged && container.linuxParameters.capabilities.drop == ["ALL"]
    ])
    error_message = "containers run as nobody, without capabilities, on a file system that they cannot change"
  }

  assert {
    condition     = aws_ecs_service.service.network_configuration[0].assign_public_ip == false && aws_ecs_service.service.enable_execute_command == false
    error_message = "tasks have no public address and no way in"
  }

  assert {
    condition = alltrue([
      for variable in flatten([for container in jsondecode(aws_ecs_task_definition.service.container_definitions) : container.environment]) :
      length(regexall("(?i)password|token|webhook", variable.name)) == 0
    ])
    error_message = "secrets come from Secrets Manager"
  }

  assert {
    condition = alltrue([
      for statement in flatten([for role in aws_iam_role_policy.execution : jsondecode(role.policy).Statement]) :
      statement.Resource != "*" || statement.Action == "ecr:GetAuthorizationToken"
    ])
    error_message = "execution roles read their own secrets, images and logs only"
  }

  assert {
    condition = contains(flatten([
      for statement in jsondecode(aws_iam_role_policy.execution["service"].policy).Statement : statement.Resource if statement.Action == "secretsmanager:GetSecretValue"
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
      for container in jsondecode(aws_ecs_task_definition.service.container_definitions) : container.stopTimeout if container.name == "titanic"
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
      for container in jsondecode(aws_ecs_task_definition.service.container_definitions) : container.environment
    ]), { name = "DB_SSLMODE", value = "verify-full" })
    error_message = "a known authority means a verified name"
  }
}

run "a_tag_is_refused" {
  command = plan

  variables {
    images = {
      service = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/titanic-test/titanic@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      agent   = "ghcr.io/lookout-dev/lookout:latest"
    }
  }

  expect_failures = [var.images]
}

run "no_alarm_is_refused" {
  command = plan

  variables {
    alarms = { rollback_alarms = [], topic_arn = "arn:aws:sns:eu-central-1:123456789012:alarms" }
  }

  expect_failures = [var.alarms]
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

run "the_ledger_has_one_writer_and_outlives_it" {
  assert {
    condition = (
      aws_ecs_service.agent.desired_count == 1 && aws_ecs_service.agent.deployment_maximum_percent == 100
      && aws_ecs_service.agent.deployment_minimum_healthy_percent == 0
    )
    error_message = "two agents must never hold one ledger"
  }

  assert {
    condition = (
      one(aws_ecs_task_definition.agent.volume).efs_volume_configuration[0].transit_encryption == "ENABLED"
      && jsondecode(aws_ecs_task_definition.agent.container_definitions)[0].mountPoints[0].containerPath == "/var/lib/lookout"
      && aws_efs_file_system.ledger.encrypted && length(aws_efs_mount_target.ledger) == 2
    )
    error_message = "the ledger must be on the file system, encrypted, in reach from every zone"
  }

  assert {
    condition     = aws_efs_access_point.ledger.posix_user[0].uid == 65532 && aws_efs_access_point.ledger.root_directory[0].creation_info[0].owner_uid == 65532
    error_message = "the folder must belong to the user of the image"
  }
}

run "messages_link_to_pages_behind_a_login" {
  variables {
    pages = {
      hostname            = "lookout.example.com"
      user_pool_arn       = "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_1"
      user_pool_client_id = "client"
      user_pool_domain    = "login"
      zone_id             = "Z1"
    }
  }

  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.agent.container_definitions)[0].environment, { name = "LOOKOUT_EXTERNAL_URL", value = "https://lookout.example.com" })
    error_message = "links in messages must lead to where people get"
  }

  assert {
    condition     = aws_lb_listener_rule.pages[0].action[0].type == "authenticate-cognito" && aws_lb_listener_rule.pages[0].action[1].type == "forward"
    error_message = "people log in before they see a page"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.pages[0].referenced_security_group_id == "sg-edge" && aws_vpc_security_group_ingress_rule.pages[0].from_port == 9797
    error_message = "the load balancer reaches the pages, and nobody else does"
  }
}

run "nobody_else_opens_it" {
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_efs_file_system_policy.ledger.policy).Statement :
      statement.Condition.StringEquals["elasticfilesystem:AccessPointArn"] == aws_efs_access_point.ledger.arn if statement.Effect == "Allow"
    ])
    error_message = "the file system is entered through its access point or not at all"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.task["agent"].policy).Statement[0].Resource == aws_efs_file_system.ledger.arn
    error_message = "the agent may open its own ledger and nothing else"
  }
}

run "the_gate_has_an_address_for_those_who_are_let_in" {
  assert {
    condition     = output.lookout_url == "http://lookout.test.titanic.internal:9797"
    error_message = "pipelines must find the gate by name"
  }

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.observer["runners-agent-9797"].referenced_security_group_id == "sg-runners"
      && aws_vpc_security_group_ingress_rule.observer["runners-agent-9797"].from_port == 9797 && aws_vpc_security_group_ingress_rule.observer["runners-agent-9797"].to_port == 9797
    )
    error_message = "the gate is for named groups, on one port"
  }
}

run "every_signal_has_a_way_out" {
  assert {
    condition = alltrue([
      for signal in ["traces", "metrics", "logs"] :
      length(setsubtract(
        yamldecode(jsondecode(aws_ecs_task_definition.collector[0].container_definitions)[0].environment[0].value).service.pipelines[signal].exporters,
        keys(yamldecode(jsondecode(aws_ecs_task_definition.collector[0].container_definitions)[0].environment[0].value).exporters)
      )) == 0
    ])
    error_message = "each pipeline must end in an exporter that there is"
  }
}

run "only_senders_reach_it" {
  assert {
    condition     = toset(keys(aws_vpc_security_group_ingress_rule.sender)) == toset(["service", "agent"]) && alltrue([for rule in aws_vpc_security_group_ingress_rule.sender : rule.from_port == 4318 && rule.to_port == 4318])
    error_message = "nobody else may send telemetry"
  }

  assert {
    condition     = toset(keys(aws_vpc_security_group_egress_rule.sender)) == toset(["service", "agent"])
    error_message = "a sender must reach it"
  }
}

run "without_a_collector_nothing_is_sent" {
  variables {
    images = {
      service = "example/titanic@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      agent   = "example/lookout-titanic@sha256:1111111111111111111111111111111111111111111111111111111111111111"
    }
  }

  assert {
    condition     = output.otlp_endpoint == null && length(aws_ecs_service.collector) == 0 && !strcontains(aws_ecs_task_definition.service.container_definitions, "OTLP")
    error_message = "without a collector there is nobody to send to"
  }
}
