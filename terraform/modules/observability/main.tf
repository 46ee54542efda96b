data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = ["backup.amazonaws.com", "budgets.amazonaws.com", "cloudwatch.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_sns_topic_subscription" "mail" {
  for_each = var.subscribers

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

# What lookout cannot see from inside. Objectives and pages are its own: these are for machines, and for rollback.
locals {
  on_ecs        = var.ecs != null
  service       = local.on_ecs ? { ClusterName = var.ecs.cluster, ServiceName = var.ecs.service } : {}
  load_balancer = local.on_ecs ? { LoadBalancer = var.ecs.load_balancer_suffix } : {}
  database      = { DBInstanceIdentifier = var.database_identifier }

  alarms = {
    cpu         = { namespace = "AWS/ECS", metric = "CPUUtilization", statistic = "Average", dimensions = local.service, above = var.thresholds.cpu, minutes = 5 }
    memory      = { namespace = "AWS/ECS", metric = "MemoryUtilization", statistic = "Average", dimensions = local.service, above = var.thresholds.memory, minutes = 5 }
    db-cpu      = { namespace = "AWS/RDS", metric = "CPUUtilization", statistic = "Average", dimensions = local.database, above = var.thresholds.cpu, minutes = 10 }
    db-clients  = { namespace = "AWS/RDS", metric = "DatabaseConnections", statistic = "Maximum", dimensions = local.database, above = var.thresholds.connections, minutes = 5 }
    latency     = { namespace = "AWS/ApplicationELB", metric = "TargetResponseTime", statistic = "p99", dimensions = local.load_balancer, above = var.thresholds.latency, minutes = 3 }
    edge-errors = { namespace = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", statistic = "Sum", dimensions = local.load_balancer, above = 10, minutes = 3 }
  }
}

resource "aws_cloudwatch_metric_alarm" "above" {
  for_each = { for name, alarm in local.alarms : name => alarm if local.on_ecs || alarm.namespace == "AWS/RDS" }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.metric} above ${each.value.above} for ${each.value.minutes} minutes"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  period              = 60
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = each.value.minutes
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "storage" {
  alarm_name          = "${var.name}-db-storage"
  alarm_description   = "Less than ${var.thresholds.storage} GiB free"
  namespace           = "AWS/RDS"
  metric_name         = "FreeStorageSpace"
  dimensions          = local.database
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = var.thresholds.storage * pow(1024, 3)
  period              = 300
  evaluation_periods  = 3
  # a database that tells nothing is worse than a full one
  treat_missing_data = "breaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]
}

# A share, not a count: ten errors are a bad minute at night and nothing at noon.
resource "aws_cloudwatch_metric_alarm" "errors" {
  count = local.on_ecs ? 1 : 0

  alarm_name          = "${var.name}-errors"
  alarm_description   = "More than ${var.thresholds.errors} % of requests fail"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.thresholds.errors
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "share"
    expression  = "IF(requests >= 20, 100 * FILL(errors, 0) / requests, 0)"
    label       = "share of failed requests"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { errors = "HTTPCode_Target_5XX_Count", requests = "RequestCount" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value
        dimensions  = local.load_balancer
        stat        = "Sum"
        period      = 60
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "unhealthy" {
  for_each = local.on_ecs ? var.ecs.target_group_suffixes : {}

  alarm_name          = "${var.name}-unhealthy-${each.key}"
  alarm_description   = "A task of ${each.key} is registered and not ready"
  namespace           = "AWS/ApplicationELB"
  metric_name         = "UnHealthyHostCount"
  dimensions          = merge(local.load_balancer, { TargetGroup = each.value })
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_budgets_budget" "this" {
  name         = var.name
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  # the tag that every resource of the environment carries
  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:Stack$%s", var.name)]
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      notification_type          = notification.key
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.subscribers
      subscriber_sns_topic_arns  = [aws_sns_topic.alarms.arn]
    }
  }
}
