# What an account is watched by, once for all environments in it. Every part can be left out: an organisation may do it for
# all its accounts.
data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  # each has a bucket of its own: Config does not deliver to one whose objects are locked
  writers = merge(
    var.trail ? { cloudtrail = "cloudtrail.amazonaws.com" } : {},
    var.config ? { config = "config.amazonaws.com" } : {},
  )
}

resource "aws_kms_key" "audit" {
  for_each = local.writers

  description             = "Audit logs of the account: ${each.key}"
  deletion_window_in_days = 30
  enable_key_rotation     = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "IamOfThisAccountDecides"
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "AuditLogsAreEncrypted"
        Effect    = "Allow"
        Principal = { Service = each.value }
        Action    = ["kms:GenerateDataKey*", "kms:DescribeKey", "kms:Decrypt"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
    ]
  })
}

resource "aws_s3_bucket" "audit" {
  #checkov:skip=CKV_AWS_18:a log of reads of the log would be read by nobody
  #checkov:skip=CKV_AWS_144:the trail's digests show a loss; a copy elsewhere is the organisation's
  #checkov:skip=CKV2_AWS_62:nobody waits for a log file
  for_each = local.writers

  bucket              = "${var.name}-${each.key}-${local.account}"
  object_lock_enabled = each.key == "cloudtrail"
}

# Nothing of the trail is removed before its time.
# Source: https://docs.aws.amazon.com/config/latest/developerguide/manage-delivery-channel.html
resource "aws_s3_bucket_object_lock_configuration" "audit" {
  for_each = { for writer, bucket in aws_s3_bucket.audit : writer => bucket if writer == "cloudtrail" }

  bucket = each.value.id

  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.retention_days
    }
  }
}

resource "aws_s3_bucket_versioning" "audit" {
  for_each = aws_s3_bucket.audit

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "audit" {
  for_each = aws_s3_bucket.audit

  bucket = each.value.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.audit[each.key].arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "audit" {
  for_each = aws_s3_bucket.audit

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "audit" {
  for_each = aws_s3_bucket.audit

  bucket = each.value.id

  rule {
    id     = "the-end"
    status = "Enabled"

    filter {}

    expiration {
      days = var.retention_days + 1
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

# Sources: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html and
# https://docs.aws.amazon.com/config/latest/developerguide/s3-bucket-policy.html
resource "aws_s3_bucket_policy" "audit" {
  for_each = aws_s3_bucket.audit

  bucket = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "NothingInTheClear"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [each.value.arn, "${each.value.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "LooksForTheBucket"
        Effect    = "Allow"
        Principal = { Service = local.writers[each.key] }
        Action    = ["s3:GetBucketAcl", "s3:ListBucket"]
        Resource  = each.value.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      {
        Sid       = "Writes"
        Effect    = "Allow"
        Principal = { Service = local.writers[each.key] }
        Action    = "s3:PutObject"
        Resource  = "${each.value.arn}/AWSLogs/${local.account}/*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account, "s3:x-amz-acl" = "bucket-owner-full-control" } }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.audit]
}
