data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

resource "aws_backup_vault" "this" {
  name        = var.name
  kms_key_arn = var.kms_key_arn
}

resource "aws_backup_vault_lock_configuration" "this" {
  count = var.locked ? 1 : 0

  backup_vault_name  = aws_backup_vault.this.name
  min_retention_days = 14
  max_retention_days = 3650
}

resource "aws_backup_vault_notifications" "this" {
  backup_vault_name   = aws_backup_vault.this.name
  sns_topic_arn       = var.topic_arn
  backup_vault_events = ["BACKUP_JOB_FAILED", "COPY_JOB_FAILED", "RESTORE_JOB_COMPLETED"]
}

resource "aws_backup_vault" "copy" {
  count = var.copy == null ? 0 : 1

  region      = var.copy.region
  name        = "${var.name}-copy"
  kms_key_arn = var.copy.kms_key_arn
}

# Going back to any second is RDS's own, in the module database: two services that both want to own it would fight.
resource "aws_backup_plan" "this" {
  name = var.name

  rule {
    rule_name         = "daily"
    target_vault_name = aws_backup_vault.this.name
    schedule          = "cron(30 3 * * ? *)"
    start_window      = 60
    completion_window = 240

    lifecycle {
      delete_after = var.retention_days.daily
    }

    dynamic "copy_action" {
      for_each = aws_backup_vault.copy

      content {
        destination_vault_arn = copy_action.value.arn

        lifecycle {
          delete_after = var.retention_days.daily
        }
      }
    }
  }

  rule {
    rule_name         = "monthly"
    target_vault_name = aws_backup_vault.this.name
    schedule          = "cron(30 4 1 * ? *)"
    start_window      = 60
    completion_window = 240

    lifecycle {
      delete_after = var.retention_days.monthly
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = "${var.name}-backup"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "backup.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = toset(["AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForRestores"])

  role       = aws_iam_role.this.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/${each.key}"
}

resource "aws_backup_selection" "this" {
  name         = var.name
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.this.arn
  resources    = var.resource_arns
}

# The ledger on Kubernetes: k8s/cluster/storage-class.yaml puts this tag on its volume.
resource "aws_backup_selection" "volumes" {
  name         = "${var.name}-volumes"
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.this.arn

  selection_tag {
    type  = "STRINGEQUALS"
    key   = "lookout.dev/backup"
    value = "daily"
  }
}

# A backup that was never restored is a hope.
resource "aws_backup_restore_testing_plan" "this" {
  count = var.restore_test == null ? 0 : 1

  name                         = replace(var.name, "-", "_")
  schedule_expression          = "cron(0 6 ? * SUN *)"
  schedule_expression_timezone = "UTC"
  start_window_hours           = 4

  recovery_point_selection {
    algorithm             = "LATEST_WITHIN_WINDOW"
    include_vaults        = [aws_backup_vault.this.arn]
    recovery_point_types  = ["SNAPSHOT"]
    selection_window_days = 2
  }
}

resource "aws_backup_restore_testing_selection" "this" {
  count = var.restore_test == null ? 0 : 1

  name                      = "${replace(var.name, "-", "_")}_database"
  restore_testing_plan_name = aws_backup_restore_testing_plan.this[0].name
  iam_role_arn              = aws_iam_role.this.arn
  protected_resource_type   = "RDS"
  protected_resource_arns   = [var.restore_test.database_arn]
  validation_window_hours   = 4

  restore_metadata_overrides = {
    dBSubnetGroupName   = var.restore_test.subnet_group
    publiclyAccessible  = "false"
    vpcSecurityGroupIds = jsonencode([var.restore_test.security_group_id])
    multiAz             = "false"
  }
}
