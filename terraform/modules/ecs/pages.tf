# The pages that messages link to, for people who logged in; the gate stays inside of the VPC.
resource "aws_acm_certificate" "pages" {
  count = var.pages == null ? 0 : 1

  domain_name       = var.pages.hostname
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  validation = try(one(aws_acm_certificate.pages[0].domain_validation_options), null)
}

resource "aws_route53_record" "validation" {
  count = var.pages == null ? 0 : 1

  zone_id         = var.pages.zone_id
  name            = local.validation.resource_record_name
  type            = local.validation.resource_record_type
  records         = [local.validation.resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "pages" {
  count = var.pages == null ? 0 : 1

  certificate_arn         = aws_acm_certificate.pages[0].arn
  validation_record_fqdns = [aws_route53_record.validation[0].fqdn]
}

resource "aws_lb_listener_certificate" "pages" {
  count = var.pages == null ? 0 : 1

  listener_arn    = var.edge.listener_arn
  certificate_arn = aws_acm_certificate_validation.pages[0].certificate_arn
}

resource "aws_lb_target_group" "pages" {
  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer; from there on the security groups of a private subnet decide
  count = var.pages == null ? 0 : 1

  name        = "${var.name}-lookout"
  vpc_id      = var.network.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = local.agent_port

  health_check {
    path    = "/livez"
    matcher = "200"
  }
}

resource "aws_lb_listener_rule" "pages" {
  count = var.pages == null ? 0 : 1

  listener_arn = var.edge.listener_arn
  priority     = 90

  condition {
    host_header {
      values = [var.pages.hostname]
    }
  }

  # the user pool keeps the secret of its client: none is in the state
  action {
    type = "authenticate-cognito"

    authenticate_cognito {
      user_pool_arn       = var.pages.user_pool_arn
      user_pool_client_id = var.pages.user_pool_client_id
      user_pool_domain    = var.pages.user_pool_domain
    }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.pages[0].arn
  }
}

resource "aws_route53_record" "pages" {
  count = var.pages == null ? 0 : 1

  zone_id = var.pages.zone_id
  name    = var.pages.hostname
  type    = "A"

  alias {
    name                   = var.edge.load_balancer.dns_name
    zone_id                = var.edge.load_balancer.zone_id
    evaluate_target_health = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "pages" {
  count = var.pages == null ? 0 : 1

  security_group_id            = aws_security_group.this["agent"].id
  description                  = "People, through the load balancer"
  referenced_security_group_id = var.edge.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.agent_port
  to_port                      = local.agent_port
}

resource "aws_vpc_security_group_egress_rule" "pages" {
  count = var.pages == null ? 0 : 1

  security_group_id            = var.edge.security_group_id
  description                  = "People to the agent's pages"
  referenced_security_group_id = aws_security_group.this["agent"].id
  ip_protocol                  = "tcp"
  from_port                    = local.agent_port
  to_port                      = local.agent_port
}
