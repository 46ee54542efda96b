mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "titanic-prod"
  environment = "prod"
  repository  = "lookout-dev@1001/lookout@2002"
  state       = { bucket_arn = "arn:aws:s3:::state", kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/state", object = "prod/terraform.tfstate" }
  service     = { cluster = "titanic-prod", service = "titanic" }
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/test"
}

run "each_role_is_for_one_repository_and_one_environment" {
  assert {
    condition = {
      for name, role in aws_iam_role.github :
      name => jsondecode(role.assume_role_policy).Statement[0].Condition
      } == {
      for name, environment in { plan = "prod-plan", apply = "prod-infrastructure", deploy = "prod" } :
      name => {
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = ["repo:lookout-dev@1001/lookout@2002:environment:${environment}"]
        }
      }
    }
    error_message = "trust must name the exact repository and environment, and compare by StringEquals"
  }
}

run "a_repository_without_ids_has_its_name_as_its_subject" {
  variables {
    repository = "lookout-dev/lookout"
  }

  assert {
    condition = alltrue([
      for role in aws_iam_role.github :
      startswith(one(jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"]), "repo:lookout-dev/lookout:environment:")
    ])
    error_message = "trust must name the exact repository"
  }
}

run "both_subjects_are_accepted_while_a_repository_changes_over" {
  variables {
    accept_former_subject = true
  }

  assert {
    condition = (
      jsondecode(aws_iam_role.github["deploy"].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"]
      == ["repo:lookout-dev@1001/lookout@2002:environment:prod", "repo:lookout-dev/lookout:environment:prod"]
    )
    error_message = "the new subject and the old one, and no other"
  }
}

run "a_plan_reads_no_contents" {
  assert {
    condition = length(setsubtract(
      [
        "logs:FilterLogEvents", "logs:GetLogEvents", "logs:GetLogObject", "logs:GetLogRecord", "logs:GetQueryResults", "logs:StartLiveTail",
        "logs:StartQuery", "rds:Download*", "s3:GetObjectVersion", "secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue",
        "ssm:GetParameter*",
      ],
      flatten([
        for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement :
        statement.Action if statement.Effect == "Deny" && try(statement.Resource, "") == "*" && !can(statement.Condition)
      ]),
    )) == 0
    error_message = "who may plan reads no secret, no log and no former state, wherever it is"
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement :
      { action = statement.Action, but = toset(statement.NotResource) } if try(statement.Sid, "") == "NoContents" && statement.Effect == "Deny"
    ]) == { action = "s3:GetObject*", but = toset(["arn:aws:s3:::state/prod/terraform.tfstate", "arn:aws:s3:::state/prod/terraform.tfstate.tflock"]) }
    error_message = "of all objects, who may plan reads the present state and its lock"
  }
}

run "the_boundary_admits_what_managed_policies_of_eks_need" {
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_policy.boundary.policy).Statement :
      statement.Effect == "Allow" && statement.Resource == "*" && contains(flatten([statement.Action]), "eks-auth:AssumeRoleForPodIdentity")
    ])
    error_message = "nodes must get the roles of pods, or every pod identity is without credentials"
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_policy.boundary.policy).Statement :
      statement.Condition.StringEquals["iam:AWSServiceName"] if statement.Effect == "Allow" && statement.Action == "iam:CreateServiceLinkedRole"
    ]) == "elasticloadbalancing.amazonaws.com"
    error_message = "the cluster must be able to make the account's first balancer, and no other role of AWS"
  }
}

run "a_release_can_do_little" {
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.deploy.policy).Statement :
      alltrue([for action in flatten([statement.Action]) : !strcontains(action, "*")])
    ])
    error_message = "the deploy role names its actions"
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.deploy.policy).Statement : statement.Resource if statement.Sid == "RunAsTheService"
    ]) == ["arn:aws:iam::123456789012:role/titanic-prod/titanic-prod-execution", "arn:aws:iam::123456789012:role/titanic-prod/titanic-prod-task"]
    error_message = "a release may run as the service's two roles and no other"
  }
}

run "a_plan_is_saved_by_one_and_read_by_the_other" {
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement : statement.Resource if try(statement.Sid, "") == "SavePlans"
    ]) == "arn:aws:s3:::state/plans/prod/*"
    error_message = "the plan role writes plans of its own environment"
  }

  assert {
    condition = !anytrue(flatten([
      for statement in jsondecode(aws_iam_role_policy.plan.policy).Statement : [
        for resource in flatten([statement.NotResource]) : strcontains(resource, "plans")
      ] if try(statement.Sid, "") == "NoContents"
    ]))
    error_message = "a plan holds values in the clear: only who applies it reads it"
  }
}

run "nobody_makes_a_role_without_the_boundary" {
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.apply.policy).Statement :
      try(statement.Condition.StringEquals["iam:PermissionsBoundary"], "") == aws_iam_policy.boundary.arn
      if statement.Effect == "Allow" && contains(flatten([statement.Action]), "iam:CreateRole")
    ])
    error_message = "roles are made under the boundary or not at all"
  }

  assert {
    condition = !anytrue([
      for statement in jsondecode(aws_iam_role_policy.apply.policy).Statement :
      statement.Effect == "Allow" && contains(flatten([statement.Action]), "iam:*")
    ])
    error_message = "the apply role does not own IAM"
  }
}

run "any_repository_is_refused" {
  command = plan

  variables {
    repository = "lookout-dev/*"
  }

  expect_failures = [var.repository]
}

run "any_environment_is_refused" {
  command = plan

  variables {
    environment = "*"
  }

  expect_failures = [var.environment]
}

run "half_of_the_ids_is_refused" {
  command = plan

  variables {
    repository = "lookout-dev@1001/lookout"
  }

  expect_failures = [var.repository]
}
