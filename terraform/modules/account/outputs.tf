output "audit_buckets" {
  description = "Buckets of audit logs by the service that writes them."
  value       = { for writer, bucket in aws_s3_bucket.audit : writer => bucket.id }
}
