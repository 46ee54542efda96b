mock_provider "aws" {
  mock_resource "aws_efs_file_system" {
    defaults = { arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-1" }
  }

  mock_resource "aws_acm_certificate" {
    defaults = {
      domain_validation_options = [{
        domain_name           = "lookout.example.com"
        resource_record_name  = "_1.lookout.example.com"
        resource_record_type  = "CNAME"
        resource_record_value = "_2.acm-validations.aws"
      }]
    }
  }

  mock_resource "aws_efs_access_point" {
    defaults = { arn = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-1" }
  }
}

variables {
  name                     = "titanic-test"
  environment              = "dev"
  cluster                  = "titanic-test"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2"]
  names                    = { zone = "test.titanic.internal", namespace_id = "ns-1" }
  url                      = "https://api.example.com"
  image                    = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/titanic-test/lookout-titanic@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  secret_arn               = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:titanic-test/lookout-AbCdEf"
  observers                = { runners = "sg-runners" }
  topic_arn                = "arn:aws:sns:eu-central-1:123456789012:alarms"
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/test"
  permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
}

run "the_ledger_has_one_writer_and_outlives_it" {
  assert {
    condition = (
      aws_ecs_service.this.desired_count == 1 && aws_ecs_service.this.deployment_maximum_percent == 100
      && aws_ecs_service.this.deployment_minimum_healthy_percent == 0
    )
    error_message = "two agents must never hold one ledger"
  }

  assert {
    condition = (
      one(aws_ecs_task_definition.this.volume).efs_volume_configuration[0].transit_encryption == "ENABLED"
      && jsondecode(aws_ecs_task_definition.this.container_definitions)[0].mountPoints[0].containerPath == "/var/lib/lookout"
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
      listener_arn        = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/titanic-test/1/1"
      security_group_id   = "sg-edge"
      load_balancer       = { dns_name = "edge.example.com", zone_id = "Z2" }
    }
  }

  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment, { name = "LOOKOUT_EXTERNAL_URL", value = "https://lookout.example.com" })
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
    condition     = jsondecode(aws_iam_role_policy.task.policy).Statement[0].Resource == aws_efs_file_system.ledger.arn
    error_message = "the agent may open its own ledger and nothing else"
  }
}

run "the_gate_has_an_address_for_those_who_are_let_in" {
  assert {
    condition     = output.url == "http://lookout.test.titanic.internal:9797"
    error_message = "pipelines must find the gate by name"
  }

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.observer["runners"].referenced_security_group_id == "sg-runners"
      && aws_vpc_security_group_ingress_rule.observer["runners"].from_port == 9797 && aws_vpc_security_group_ingress_rule.observer["runners"].to_port == 9797
    )
    error_message = "the gate is for named groups, on one port"
  }
}

run "its_container_has_no_rights" {
  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.this.container_definitions) :
      container.readonlyRootFilesystem && container.user == "65532:65532" && !container.privileged && container.linuxParameters.capabilities.drop == ["ALL"]
    ])
    error_message = "the agent runs as nobody, without capabilities, on a file system that it cannot change"
  }
}

run "a_tag_is_refused" {
  command = plan

  variables {
    image = "ghcr.io/lookout-dev/lookout-titanic:latest"
  }

  expect_failures = [var.image]
}
