mock_provider "aws" {}

variables {
  name        = "titanic-test"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/test"
}

run "images_are_scanned_encrypted_and_never_replaced" {
  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE"])
    error_message = "a tag must never move"
  }

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_scanning_configuration[0].scan_on_push])
    error_message = "every image must be scanned"
  }

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.encryption_configuration[0].kms_key == var.kms_key_arn])
    error_message = "images must be encrypted with the key of the environment"
  }

  assert {
    condition     = alltrue([for policy in aws_ecr_lifecycle_policy.this : length(jsondecode(policy.policy).rules) == 2])
    error_message = "old images must expire"
  }
}

run "too_few_to_roll_back_to_are_refused" {
  command = plan

  variables {
    kept_images = 2
  }

  expect_failures = [var.kept_images]
}
