mock_provider "aws" {
  source = "../../mocks"

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::account-audit-123456789012" }
  }
}

variables {
  subscribers = ["security@example.com"]
}

run "the_log_covers_every_region_and_cannot_be_changed" {
  assert {
    condition     = aws_cloudtrail.this[0].is_multi_region_trail && aws_cloudtrail.this[0].enable_log_file_validation && aws_cloudtrail.this[0].enable_logging
    error_message = "the trail must cover every region, and a change of it must show"
  }

  assert {
    condition     = aws_s3_bucket.audit["cloudtrail"].object_lock_enabled && one(one(aws_s3_bucket_object_lock_configuration.audit["cloudtrail"].rule).default_retention).days == var.retention_days
    error_message = "nobody may remove a log before its time"
  }

  assert {
    condition     = alltrue([for block in aws_s3_bucket_public_access_block.audit : block.block_public_policy && block.restrict_public_buckets])
    error_message = "audit logs must never be public"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.audit["cloudtrail"].policy).Statement :
      statement.Condition.StringEquals["aws:SourceAccount"] == "123456789012" if statement.Effect == "Allow"
    ])
    error_message = "only this account may write its log"
  }
}

run "everything_is_recorded_and_findings_are_told" {
  assert {
    condition     = one(aws_config_configuration_recorder.this[0].recording_group).all_supported && aws_config_configuration_recorder_status.this[0].is_enabled
    error_message = "every resource must be recorded"
  }

  assert {
    condition     = aws_guardduty_detector.this[0].enable && length(aws_sns_topic_subscription.mail) == 1
    error_message = "a finding must reach somebody"
  }

  assert {
    condition     = one(one(aws_ce_anomaly_subscription.this[0].threshold_expression).dimension).values == toset(["50"])
    error_message = "an anomaly must be told of from the sum that was asked for"
  }
}

run "each_part_can_be_left_out" {
  variables {
    trail       = false
    config      = false
    guardduty   = false
    anomaly_usd = null
    subscribers = []
  }

  assert {
    condition = (
      length(aws_s3_bucket.audit) == 0 && length(aws_cloudtrail.this) == 0 && length(aws_config_configuration_recorder.this) == 0
      && length(aws_guardduty_detector.this) == 0 && length(aws_ce_anomaly_monitor.this) == 0 && length(aws_sns_topic.this) == 0
    )
    error_message = "what is turned off must cost nothing"
  }

  assert {
    condition     = output.audit_buckets == {}
    error_message = "there is no log"
  }
}

run "nobody_to_tell_is_refused" {
  command = plan

  variables {
    subscribers = []
  }

  expect_failures = [var.subscribers]
}
