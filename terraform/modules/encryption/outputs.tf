output "key_arn" {
  description = "The key that everything of the environment is encrypted with."
  value       = aws_kms_key.this.arn

  # nobody uses the key before its policy lets the services in
  depends_on = [aws_kms_alias.this]
}

output "copy" {
  description = "The other region and its key, for what is copied there; null when nothing is."
  value       = one([for key in aws_kms_key.copy : { region = var.copy_region, kms_key_arn = key.arn }])
}
