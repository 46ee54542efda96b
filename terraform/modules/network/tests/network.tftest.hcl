mock_provider "aws" {}

variables {
  internal_zone            = "test.titanic.internal"
  name                     = "titanic-test"
  cidr                     = "10.20.0.0/16"
  availability_zones       = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/test"
  permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
}

run "three_zones" {
  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "each zone must have a NAT gateway of its own"
  }

  assert {
    condition = length(distinct(concat(
      [for subnet in aws_subnet.public : subnet.cidr_block],
      [for subnet in aws_subnet.private : subnet.cidr_block],
      [for subnet in aws_subnet.database : subnet.cidr_block],
    ))) == 9
    error_message = "nine subnets must not overlap"
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "nothing gets a public address unasked"
  }

  assert {
    condition     = alltrue([for zone, route in aws_route.private : route.nat_gateway_id == aws_nat_gateway.this[zone].id])
    error_message = "each zone must leave through its own gateway"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == var.cidr
    error_message = "endpoints must be reachable from the VPC alone"
  }

  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_cloudwatch_log_group.flow.kms_key_id == var.kms_key_arn
    error_message = "all traffic must be logged, encrypted"
  }
}

run "one_gateway_serves_all_zones" {
  variables {
    nat                 = "one"
    availability_zones  = ["eu-central-1a", "eu-central-1b"]
    interface_endpoints = []
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(distinct([for route in aws_route.private : route.nat_gateway_id])) == 1
    error_message = "one gateway must serve every zone"
  }

  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0
    error_message = "endpoints that cost must be optional"
  }
}

run "one_zone_is_refused" {
  command = plan

  variables {
    availability_zones = ["eu-central-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "public_addresses_are_refused" {
  command = plan

  variables {
    cidr = "8.8.0.0/16"
  }

  expect_failures = [var.cidr]
}
