mock_provider "aws" {}

variables {
  name                     = "titanic-test"
  resource_arns            = ["arn:aws:rds:eu-central-1:123456789012:db:titanic-test"]
  topic_arn                = "arn:aws:sns:eu-central-1:123456789012:alarms"
  copy                     = { region = "eu-west-1", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/copy" }
  restore_test             = { database_arn = "arn:aws:rds:eu-central-1:123456789012:db:titanic-test", subnet_group = "titanic-test", security_group_id = "sg-1" }
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/test"
  permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
}

run "kept_locked_copied_and_tried" {
  assert {
    condition     = alltrue([for rule in aws_backup_plan.this.rule : one(rule.lifecycle).delete_after >= 14])
    error_message = "every backup is kept for 14 days or more"
  }

  assert {
    condition     = aws_backup_vault_lock_configuration.this[0].min_retention_days >= 14 && aws_backup_vault.this.kms_key_arn == var.kms_key_arn
    error_message = "the vault must be locked and encrypted"
  }

  assert {
    condition     = aws_backup_vault.copy[0].region == "eu-west-1" && aws_backup_vault.copy[0].kms_key_arn == var.copy.kms_key_arn
    error_message = "copies must be in the other region, under a key of that region"
  }

  assert {
    condition     = length(aws_backup_restore_testing_selection.this) == 1 && aws_backup_restore_testing_selection.this[0].restore_metadata_overrides["publiclyAccessible"] == "false"
    error_message = "backups must be restored every week, in private"
  }
}

run "ten_days_are_refused" {
  command = plan

  variables {
    retention_days = { daily = 10, monthly = 365 }
  }

  expect_failures = [var.retention_days]
}

run "volumes_of_kubernetes_are_found_by_their_tag" {
  assert {
    condition     = one(aws_backup_selection.volumes.selection_tag).key == "lookout.dev/backup" && one(aws_backup_selection.volumes.selection_tag).value == "daily"
    error_message = "the ledger on Kubernetes is backed up too"
  }
}
