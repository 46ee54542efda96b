mock_provider "aws" {}

variables {
  name = "titanic-test"
  ecs = {
    cluster               = "titanic-test"
    service               = "titanic"
    load_balancer_suffix  = "app/titanic-test/1"
    target_group_suffixes = { blue = "targetgroup/blue/1", green = "targetgroup/green/1" }
  }
  database_identifier = "titanic-test"
  subscribers         = ["oncall@example.com"]
  monthly_budget      = 100
  kms_key_arn         = "arn:aws:kms:eu-central-1:123456789012:key/test"
}

run "every_alarm_is_told" {
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.above), values(aws_cloudwatch_metric_alarm.unhealthy), aws_cloudwatch_metric_alarm.errors, [aws_cloudwatch_metric_alarm.storage]) :
      contains(alarm.alarm_actions, aws_sns_topic.alarms.arn)
    ])
    error_message = "an alarm that nobody hears is none"
  }

  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == var.kms_key_arn
    error_message = "the topic must be encrypted"
  }

  assert {
    condition     = length(output.rollback_alarms) == 4
    error_message = "errors, latency and the health of blue and green take a deployment back"
  }
}

run "money_is_watched" {
  assert {
    condition     = aws_budgets_budget.this.limit_amount == "100" && length(aws_budgets_budget.this.notification) == 2
    error_message = "the budget must warn before and after"
  }

  assert {
    condition     = contains(one(aws_budgets_budget.this.cost_filter).values, "user:Stack$titanic-test")
    error_message = "the budget counts this environment alone"
  }
}

run "nobody_to_tell_is_refused" {
  command = plan

  variables {
    subscribers = []
  }

  expect_failures = [var.subscribers]
}

run "without_ecs_the_database_is_still_watched" {
  variables {
    ecs = null
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.above)) == toset(["db-cpu", "db-clients"]) && length(output.rollback_alarms) == 0
    error_message = "no alarm asks for a service that is not there"
  }
}
