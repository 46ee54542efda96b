# planned only: what must not be destroyed cannot be cleaned up after a test either
mock_provider "aws" {
  override_during = plan

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::titanic-test-state" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/state" }
  }
}

variables {
  region = "eu-central-1"
  bucket = "titanic-test-state"
}

run "the_state_is_versioned_encrypted_and_private" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "a former state must be there to go back to"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"
    error_message = "the state must be encrypted with its own key"
  }

  assert {
    condition = (
      aws_s3_bucket_public_access_block.state.block_public_acls && aws_s3_bucket_public_access_block.state.block_public_policy
      && aws_s3_bucket_public_access_block.state.ignore_public_acls && aws_s3_bucket_public_access_block.state.restrict_public_buckets
    )
    error_message = "the state must never be public"
  }

  assert {
    condition     = length([for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement : statement if statement.Effect == "Deny"]) == 2
    error_message = "what comes in the clear or under another key must be refused"
  }
}

run "nothing_watches_the_account_unless_asked_for" {
  command = plan

  assert {
    condition     = length(module.account) == 0
    error_message = "an organisation may do it for all its accounts"
  }
}

run "the_account_is_watched_where_somebody_hears_of_it" {
  command = plan

  variables {
    account = { subscribers = ["security@example.com"], guardduty = false }
  }

  assert {
    condition     = sort(keys(module.account[0].audit_buckets)) == tolist(["cloudtrail", "config"])
    error_message = "trail and Config must have their buckets"
  }
}
