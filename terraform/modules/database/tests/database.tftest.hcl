mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                     = "titanic-test"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2"]
  rotation_subnet_ids      = ["subnet-3", "subnet-4"]
  names                    = { zone = "test.titanic.internal", namespace_id = "ns-1" }
  client_image             = "public.ecr.aws/docker/library/postgres@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/test"
  permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
}

run "private_encrypted_and_backed_up" {
  assert {
    condition     = aws_db_instance.this.publicly_accessible == false
    error_message = "the database must be private"
  }

  assert {
    condition     = aws_db_instance.this.storage_encrypted == true && aws_db_instance.this.kms_key_id == var.kms_key_arn
    error_message = "the database must be encrypted with the key of the environment"
  }

  assert {
    condition     = aws_db_instance.this.backup_retention_period >= 14 && aws_db_instance.this.delete_automated_backups == false
    error_message = "backups must be kept for 14 days, also when the database is gone"
  }

  assert {
    condition     = aws_db_instance.this.deletion_protection == true && aws_db_instance.this.skip_final_snapshot == false
    error_message = "the database must not vanish by accident"
  }

  assert {
    condition     = aws_db_instance.this.manage_master_user_password == true
    error_message = "the administrator's password must never be in the state"
  }

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1")
    error_message = "connections without TLS must be refused"
  }
}

run "only_its_clients_come_in" {
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.server.referenced_security_group_id == aws_security_group.client.id
      && aws_vpc_security_group_ingress_rule.server.from_port == 5432
      && aws_vpc_security_group_ingress_rule.server.to_port == 5432
    )
    error_message = "nobody but its clients may reach the database, and no port but its own"
  }
}

run "a_cluster_reaches_it_by_name_and_by_its_own_group" {
  variables {
    clients = { kubernetes = "sg-nodes" }
  }

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.further["kubernetes"].referenced_security_group_id == "sg-nodes"
      && aws_vpc_security_group_ingress_rule.further["kubernetes"].from_port == 5432
    )
    error_message = "pods wear the group of their nodes"
  }

  assert {
    condition     = output.name == "database.test.titanic.internal" && aws_service_discovery_instance.database.attributes["AWS_INSTANCE_CNAME"] == "db.example.internal"
    error_message = "the name of k8s/ leads to the instance"
  }
}

run "the_application_has_a_login_of_its_own_that_rotates" {
  variables {
    login_made = true
  }

  assert {
    condition     = aws_secretsmanager_secret_rotation.application[0].rotation_rules[0].automatically_after_days <= 30
    error_message = "the password must change every month"
  }

  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.roles.container_definitions) :
      length([for variable in container.environment : variable if strcontains(variable.name, "PASSWORD")]) == 0
    ])
    error_message = "passwords come from Secrets Manager"
  }
}

run "a_login_that_is_not_there_does_not_rotate" {
  assert {
    condition     = length(aws_secretsmanager_secret_rotation.application) == 0
    error_message = "a rotation without a login fails when it is switched on"
  }
}

run "backups_go_to_another_region" {
  variables {
    copy_region = { region = "eu-west-1", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/copy" }
  }

  assert {
    condition     = aws_db_instance_automated_backups_replication.this[0].region == "eu-west-1" && aws_db_instance_automated_backups_replication.this[0].kms_key_id == var.copy_region.kms_key_arn
    error_message = "backups must be copied, encrypted"
  }
}

run "short_backups_are_refused" {
  command = plan

  variables {
    backup_retention_days = 7
  }

  expect_failures = [var.backup_retention_days]
}

run "an_image_by_tag_is_refused" {
  command = plan

  variables {
    client_image = "postgres:17"
  }

  expect_failures = [var.client_image]
}

run "there_is_no_replica_unless_asked_for" {
  assert {
    condition     = length(aws_db_instance.replica) == 0 && output.replica_address == null
    error_message = "a replica costs as much as the instance"
  }
}

run "a_replica_is_as_private_as_what_it_follows" {
  variables {
    read_replica = "db.t4g.small"
  }

  assert {
    condition     = aws_db_instance.replica[0].replicate_source_db == aws_db_instance.this.identifier && aws_db_instance.replica[0].instance_class == "db.t4g.small"
    error_message = "the replica must follow the database"
  }

  assert {
    condition     = aws_db_instance.replica[0].storage_encrypted && !aws_db_instance.replica[0].publicly_accessible && aws_db_instance.replica[0].vpc_security_group_ids == aws_db_instance.this.vpc_security_group_ids
    error_message = "the replica must be as private as the database"
  }
}
