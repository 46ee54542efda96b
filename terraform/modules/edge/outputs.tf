output "security_group_id" {
  description = "Where requests to the service come from."
  value       = aws_security_group.this.id
}

output "load_balancer_suffix" {
  description = "The load balancer as metrics name it."
  value       = aws_lb.this.arn_suffix
}

output "target_group_arns" {
  description = "Blue and green."
  value       = { for name, group in aws_lb_target_group.this : name => group.arn }
}

output "target_group_suffixes" {
  description = "Blue and green, as metrics name them."
  value       = { for name, group in aws_lb_target_group.this : name => group.arn_suffix }
}

output "listener_rule_arns" {
  description = "The rules whose weights a deployment moves: production and test."
  value       = { for name, rule in aws_lb_listener_rule.this : name => rule.arn }
}

output "listener_arn" {
  description = "The listener for HTTPS."
  value       = aws_lb_listener.https["production"].arn
}

output "load_balancer" {
  description = "Where a name that leads to the load balancer points."
  value       = { dns_name = aws_lb.this.dns_name, zone_id = aws_lb.this.zone_id }
}

output "url" {
  description = "How clients reach the service."
  value       = "https://${var.hostname}"
}
