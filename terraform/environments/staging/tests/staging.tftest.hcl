mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }

  mock_resource "aws_db_instance" {
    defaults = {
      address            = "db.example.internal"
      port               = 5432
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:administrator" }]
    }
  }

  mock_resource "aws_serverlessapplicationrepository_cloudformation_stack" {
    defaults = {
      outputs = { RotationLambdaARN = "arn:aws:lambda:eu-central-1:123456789012:function:rotation" }
    }
  }

  mock_resource "aws_acm_certificate" {
    defaults = {
      domain_validation_options = [{
        domain_name           = "api.example.com"
        resource_record_name  = "_1.api.example.com"
        resource_record_type  = "CNAME"
        resource_record_value = "_2.acm-validations.aws"
      }]
    }
  }

  mock_resource "aws_eks_cluster" {
    defaults = {
      identity = [{ oidc = [{ issuer = "https://oidc.eks.eu-central-1.amazonaws.com/id/1" }] }]
    }
  }
}

variables {
  account_id  = "123456789012"
  region      = "eu-central-1"
  cost_centre = "passengers"
  repository  = "lookout-dev/lookout"
  hostname    = "staging.example.com"
  zone_id     = "Z1"
  subscribers = ["oncall@example.com"]

  state = {
    bucket_arn  = "arn:aws:s3:::state"
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/state"
  }

  images = {
    service         = "example/titanic@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    agent           = "example/lookout-titanic@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    database_client = "example/postgres@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  }

  kubernetes = { administrator_arns = { team = "arn:aws:iam::123456789012:role/team" } }
}

run "the_whole_environment_fits_together" {
  assert {
    condition     = module.platform.ecs == { cluster = "titanic-staging", service = "titanic", task_family = "titanic-staging" }
    error_message = "the deploy workflow finds its service by these names"
  }

  assert {
    condition = module.platform.names == {
      database_host    = "database.staging.titanic.internal"
      database_secret  = "titanic-staging/database/titanic"
      agent_secret     = "titanic-staging/lookout"
      database_network = "10.30.128.0/18"
    }
    error_message = "k8s/overlays/staging says these names"
  }

  assert {
    condition     = module.platform.lookout_url == "http://lookout.staging.titanic.internal:9797"
    error_message = "the deploy workflow asks the gate here"
  }

  assert {
    condition     = toset(keys(module.platform.role_arns)) == toset(["plan", "apply", "deploy"])
    error_message = "each workflow has a role of its own"
  }

  assert {
    condition     = module.platform.promises.backup_days >= 14
    error_message = "one can go back for 14 days at least"
  }
}
