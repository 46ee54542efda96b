mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "titanic-test"
  vpc_id      = "vpc-1"
  subnet_ids  = ["subnet-1", "subnet-2"]
  hostname    = "api.example.com"
  zone_id     = "Z1"
  test_cidrs  = ["192.0.2.0/24"]
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/test"
}

run "the_internet_finds_two_ports" {
  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.public : "${rule.from_port}-${rule.to_port}"]) == toset(["80-80", "443-443"])
    error_message = "80 and 443 are open to everybody, and nothing else"
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.test : rule.cidr_ipv4 != "0.0.0.0/0"])
    error_message = "the next version is not for everybody"
  }
}

run "only_tls_of_today" {
  assert {
    condition     = alltrue([for listener in aws_lb_listener.https : listener.protocol == "HTTPS" && strcontains(listener.ssl_policy, "TLS13-1-2")])
    error_message = "TLS 1.2 is the least"
  }

  assert {
    condition     = aws_lb_listener.redirect.default_action[0].redirect[0].status_code == "HTTP_301" && aws_lb_listener.redirect.default_action[0].redirect[0].protocol == "HTTPS"
    error_message = "HTTP must be sent on to HTTPS"
  }

  assert {
    condition     = alltrue([for listener in aws_lb_listener.https : listener.default_action[0].type == "fixed-response"])
    error_message = "other host names must not reach the service"
  }
}

run "filtered_logged_and_kept" {
  assert {
    condition     = aws_wafv2_web_acl_association.this.resource_arn == aws_lb.this.arn && length(aws_wafv2_web_acl.this.rule) == 5
    error_message = "the firewall must stand before the load balancer, with all its rules"
  }

  assert {
    condition     = aws_lb.this.access_logs[0].enabled == true && aws_lb.this.drop_invalid_header_fields == true && aws_lb.this.enable_deletion_protection == true
    error_message = "access must be logged, bad headers dropped, deletion refused"
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.logs.block_public_acls && aws_s3_bucket_public_access_block.logs.restrict_public_buckets
    error_message = "access logs must not be public"
  }
}

run "a_test_port_for_everybody_is_refused" {
  command = plan

  variables {
    test_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.test_cidrs]
}
