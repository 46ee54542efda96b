output "vault_name" {
  description = "Where backups are."
  value       = aws_backup_vault.this.name
}
