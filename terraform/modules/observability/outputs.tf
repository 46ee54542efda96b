output "topic_arn" {
  description = "Where alarms are told."
  value       = aws_sns_topic.alarms.arn
}

output "rollback_alarms" {
  description = "Alarms that take a deployment back: what clients notice, and nothing else."
  value = concat(
    aws_cloudwatch_metric_alarm.errors[*].alarm_name,
    [for name, alarm in aws_cloudwatch_metric_alarm.above : alarm.alarm_name if name == "latency"],
    [for alarm in aws_cloudwatch_metric_alarm.unhealthy : alarm.alarm_name],
  )
}
