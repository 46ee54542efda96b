# What the agent must not be told in the open: `slack_webhook_url` and `deploy_token_sha256`, as JSON. Terraform makes the
# place, people put the value there, and no state ever holds it. On ECS and on Kubernetes it is the same one.
resource "aws_secretsmanager_secret" "agent" {
  #checkov:skip=CKV2_AWS_57:Slack makes the address and people make the token; runbooks say how both are changed
  name                    = "${local.name}/lookout"
  description             = "What the agent tells people by, and whom it believes"
  kms_key_id              = module.encryption.key_arn
  recovery_window_in_days = 7
}
