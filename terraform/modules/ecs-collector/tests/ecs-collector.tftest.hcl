mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
}

variables {
  name                     = "titanic-test"
  cluster                  = "titanic-test"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2"]
  names                    = { zone = "test.titanic.internal", namespace_id = "ns-1" }
  image                    = "docker.io/otel/opentelemetry-collector-contrib@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  senders                  = { service = "sg-service", agent = "sg-agent" }
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/test"
  permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
}

run "every_signal_has_a_way_out" {
  assert {
    condition = alltrue([
      for signal in ["traces", "metrics", "logs"] :
      length(setsubtract(
        yamldecode(jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment[0].value).service.pipelines[signal].exporters,
        keys(yamldecode(jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment[0].value).exporters)
      )) == 0
    ])
    error_message = "each pipeline must end in an exporter that there is"
  }
}

run "only_senders_reach_it" {
  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.sender : rule.referenced_security_group_id]) == toset(["sg-service", "sg-agent"]) && alltrue([for rule in aws_vpc_security_group_ingress_rule.sender : rule.from_port == 4318 && rule.to_port == 4318])
    error_message = "nobody else may send telemetry"
  }

  assert {
    condition     = toset(keys(aws_vpc_security_group_egress_rule.sender)) == toset(keys(var.senders))
    error_message = "a sender must reach it"
  }
}

run "an_image_by_tag_is_refused" {
  command = plan

  variables {
    image = "docker.io/otel/opentelemetry-collector-contrib:latest"
  }

  expect_failures = [var.image]
}
