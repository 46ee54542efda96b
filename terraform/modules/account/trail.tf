# Who did what in the account, in every region.
resource "aws_cloudtrail" "this" {
  #checkov:skip=CKV_AWS_252:nobody is told of a log file; GuardDuty reads the same events and tells of findings
  #checkov:skip=CKV2_AWS_10:the log lies in the bucket; CloudWatch would take the same events in once more, for money
  count = var.trail ? 1 : 0

  name                          = var.name
  s3_bucket_name                = aws_s3_bucket.audit["cloudtrail"].id
  kms_key_id                    = aws_kms_key.audit["cloudtrail"].arn
  is_multi_region_trail         = true
  include_global_service_events = true
  enable_log_file_validation    = true
  enable_logging                = true

  depends_on = [aws_s3_bucket_policy.audit]
}
