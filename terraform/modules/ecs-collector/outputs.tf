output "log_groups" {
  description = "Log groups by what they hold: the collector's own log, log lines, metrics."
  value       = { for name, group in aws_cloudwatch_log_group.this : name => group.name }
}
