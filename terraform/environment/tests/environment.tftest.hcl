mock_provider "aws" {
  source = "../mocks"
}

variables {
  account_id  = "123456789012"
  region      = "eu-central-1"
  cost_centre = "passengers"
  repository  = "lookout-dev@1001/lookout@2002"
  hostname    = "api.example.com"
  zone_id     = "Z1"
  subscribers = ["oncall@example.com"]
  copy_region = "eu-west-1"
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

  lookout = {
    hostname            = "lookout.example.com"
    user_pool_arn       = "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_1"
    user_pool_client_id = "client"
    user_pool_domain    = "login"
  }
}

run "the_whole_environment_fits_together" {
  assert {
    condition     = output.ecs == { cluster = "titanic-${var.environment}", service = "titanic", task_family = "titanic-${var.environment}" }
    error_message = "the deploy workflow finds its service by these names"
  }

  assert {
    condition = output.names == {
      database_host    = "database.${var.environment}.titanic.internal"
      database_secret  = "titanic-${var.environment}/database/titanic"
      agent_secret     = "titanic-${var.environment}/lookout"
      database_network = replace(var.cidr, ".0.0/16", ".128.0/18")
    }
    error_message = "k8s/overlays says these names"
  }

  assert {
    condition     = output.lookout_url == "http://lookout.${var.environment}.titanic.internal:9797"
    error_message = "the deploy workflow asks the gate here"
  }

  assert {
    condition     = toset(keys(output.role_arns)) == toset(["plan", "apply", "deploy"])
    error_message = "each workflow has a role of its own"
  }

  assert {
    condition     = output.platforms == { ecs = true, eks = true, traffic = "ecs" }
    error_message = "both platforms, and one that clients reach"
  }
}

run "ecs_alone" {
  variables {
    kubernetes = null
  }

  assert {
    condition     = output.platforms == { ecs = true, eks = false, traffic = "ecs" } && output.ecs != null
    error_message = "ECS needs no cluster of Kubernetes"
  }
}

run "eks_alone" {
  variables {
    ecs     = false
    lookout = null
  }

  assert {
    condition     = output.platforms == { ecs = false, eks = true, traffic = "eks" } && output.ecs == null && output.lookout_url == null
    error_message = "EKS needs nothing of ECS"
  }
}

run "nothing_to_run_on_is_refused" {
  command = plan

  variables {
    ecs        = false
    kubernetes = null
    lookout    = null
  }

  expect_failures = [var.ecs]
}

run "traffic_to_a_platform_that_is_not_there_is_refused" {
  command = plan

  variables {
    kubernetes = null
    traffic    = "eks"
  }

  expect_failures = [var.traffic]
}

run "one_zone_is_not_enough_for_production" {
  command = plan

  variables {
    environment = "prod"
    size = {
      nat                  = "one"
      interface_endpoints  = []
      database_class       = "db.t4g.micro"
      database_standby     = false
      database_backup_days = 14
      task                 = { cpu = 512, memory = 1024 }
      tasks                = { least = 1, most = 2 }
      spot_share           = 0
      bake_minutes         = 10
      log_retention_days   = 30
      deletion_protection  = true
      backups_locked       = true
      restore_tested       = true
      monthly_budget       = 100
    }
  }

  expect_failures = [var.size]
}

run "telemetry_has_a_collector_where_one_is_named" {
  command = plan

  variables {
    images = {
      service         = "example/titanic@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      agent           = "example/lookout-titanic@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      database_client = "example/postgres@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      collector       = "example/collector@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    }
  }

  assert {
    condition     = module.ecs[0].otlp_endpoint == "http://collector.${var.environment}.titanic.internal:4318"
    error_message = "the programs must be told where the collector is"
  }
}
