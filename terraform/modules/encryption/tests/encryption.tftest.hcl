mock_provider "aws" {}

variables {
  name = "titanic-test"
}

run "the_key_rotates_and_can_be_called_back" {
  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "the key must rotate"
  }

  assert {
    condition     = aws_kms_key.this.deletion_window_in_days == 30
    error_message = "a deleted key must be recoverable for 30 days"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_kms_key.this.policy).Statement :
      can(statement.Condition) || can(regex(":root$", statement.Principal.AWS))
    ])
    error_message = "a service may use the key only under a condition"
  }
}

run "copies_have_a_key_of_their_region" {
  variables {
    copy_region = "eu-west-1"
  }

  assert {
    condition     = aws_kms_key.copy[0].region == "eu-west-1" && aws_kms_key.copy[0].enable_key_rotation
    error_message = "the other region needs a key that rotates"
  }
}

run "a_short_window_is_refused" {
  command = plan

  variables {
    deletion_window_days = 3
  }

  expect_failures = [var.deletion_window_days]
}
