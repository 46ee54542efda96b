# The service never holds the administrator's password. Its role owns one schema, and can neither make roles nor
# databases. Two logins of equal rights take turns, so that a rotation breaks no connection.
data "aws_secretsmanager_random_password" "first" {
  password_length     = 40
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "application" {
  name                    = "${var.name}/database/${var.application}"
  description             = "Login of the application"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = 7
}

# The state holds the first password only; the first two rotations, one per login, make it worthless.
resource "aws_secretsmanager_secret_version" "application" {
  secret_id = aws_secretsmanager_secret.application.id

  secret_string = jsonencode({
    engine    = "postgres"
    host      = aws_db_instance.this.address
    port      = aws_db_instance.this.port
    dbname    = var.application
    username  = var.application
    password  = data.aws_secretsmanager_random_password.first.random_password
    masterarn = aws_db_instance.this.master_user_secret[0].secret_arn
  })

  lifecycle {
    ignore_changes = [secret_string]
  }
}

# The function that AWS publishes for this: it logs in as administrator and changes the login that is not in use.
resource "aws_serverlessapplicationrepository_cloudformation_stack" "rotation" {
  name           = "${var.name}-rotation"
  application_id = "arn:aws:serverlessrepo:us-east-1:297356227824:applications/SecretsManagerRDSPostgreSQLRotationMultiUser"
  capabilities   = ["CAPABILITY_IAM", "CAPABILITY_RESOURCE_POLICY"]

  parameters = {
    endpoint                 = "https://secretsmanager.${data.aws_region.current.region}.amazonaws.com"
    functionName             = "${var.name}-rotation"
    vpcSubnetIds             = join(",", var.rotation_subnet_ids)
    vpcSecurityGroupIds      = join(",", [aws_security_group.client.id, aws_security_group.rotation.id])
    kmsKeyArn                = var.kms_key_arn
    superuserSecretArn       = aws_db_instance.this.master_user_secret[0].secret_arn
    superuserSecretKmsKeyArn = var.kms_key_arn
    excludePunctuation       = "true"
  }
}

resource "aws_secretsmanager_secret_rotation" "application" {
  secret_id           = aws_secretsmanager_secret.application.id
  rotation_lambda_arn = aws_serverlessapplicationrepository_cloudformation_stack.rotation.outputs["RotationLambdaARN"]
  # the roles must stand first: see roles.sql
  rotate_immediately = false

  rotation_rules {
    automatically_after_days = 30
  }

  depends_on = [aws_secretsmanager_secret_version.application]
}
