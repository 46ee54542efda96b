# The service never holds the administrator's password. Its role owns one schema, and can neither make roles nor
# databases. Two logins of equal rights take turns, so that a rotation breaks no connection.
resource "aws_secretsmanager_secret" "application" {
  name                    = "${var.name}/database/${var.application}"
  description             = "Login of the application"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = 7
}

# Terraform makes the place; the README says how people put the first login there. No plan and no state ever holds it.

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
  # AWS tests the rotation of an existing login when it is switched on
  count = var.login_made ? 1 : 0

  secret_id           = aws_secretsmanager_secret.application.id
  rotation_lambda_arn = aws_serverlessapplicationrepository_cloudformation_stack.rotation.outputs["RotationLambdaARN"]
  # the roles must stand first: see roles.sql
  rotate_immediately = false

  rotation_rules {
    automatically_after_days = 30
  }
}
