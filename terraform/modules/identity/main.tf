data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.region
  here      = "${local.region}:${local.account}"
  provider  = var.github_provider_arn == null ? aws_iam_openid_connect_provider.github[0].arn : var.github_provider_arn
  issuer    = "token.actions.githubusercontent.com"

  # With IDs, a name that somebody else takes over later is another subject. Source:
  # https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
  repositories = distinct(concat([var.repository], var.accept_former_subject ? [replace(var.repository, "/@[0-9]+/", "")] : []))

  # who may be whom: one GitHub environment each, so that its approvals and branches decide
  environments = {
    plan   = "${var.environment}-plan"
    apply  = "${var.environment}-infrastructure"
    deploy = var.environment
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

# On a path of their own, which none of them can change: an administrator applies this module.
resource "aws_iam_role" "github" {
  for_each = local.environments

  name                 = "${var.name}-${each.key}"
  path                 = "/github/"
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = local.provider }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = [for repository in local.repositories : "repo:${repository}:environment:${each.value}"]
        }
      }
    }]
  })
}

# Every role made by the apply role carries it, so that nobody makes a role that can do more than these programs need.
resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_287:a boundary grants nothing: it caps what the roles' own policies grant, and those name resources
  #checkov:skip=CKV_AWS_288:a boundary grants nothing: it caps what the roles' own policies grant, and those name resources
  #checkov:skip=CKV_AWS_289:a boundary grants nothing: it caps what the roles' own policies grant, and those name resources
  #checkov:skip=CKV_AWS_290:a boundary grants nothing: it caps what the roles' own policies grant, and those name resources
  #checkov:skip=CKV_AWS_355:a boundary grants nothing: it caps what the roles' own policies grant, and those name resources
  name        = "${var.name}-boundary"
  path        = "/github/"
  description = "The most that roles of ${var.name} may do"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "WhatTheProgramsAndServicesNeed"
        Effect = "Allow"
        # `eks:*` holds nothing of `eks-auth`, by which the agent on a node gets the roles of pods. Source:
        # https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html
        Action = [
          "autoscaling:Describe*", "autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup", "backup:*", "cloudwatch:*", "ec2:*", "ecr:*", "ecs:*", "eks-auth:AssumeRoleForPodIdentity", "eks:*",
          "elasticfilesystem:*", "elasticloadbalancing:*", "kms:*", "lambda:InvokeFunction", "logs:*", "rds:*", "route53:ChangeResourceRecordSets",
          "route53:GetChange", "route53:List*", "secretsmanager:*",
          "sts:AssumeRole", "sts:TagSession", "tag:GetResources", "xray:Put*",
        ]
        Resource = "*"
      },
      {
        # backups hand their role over when they restore
        Sid       = "HandOver"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = "arn:${local.partition}:iam::${local.account}:role/${var.name}/*"
        Condition = { StringEquals = { "iam:PassedToService" = ["backup.amazonaws.com", "ecs-tasks.amazonaws.com", "rds.amazonaws.com"] } }
      },
      {
        # the first balancer of an account makes this role, and the cluster makes one for the Gateway. Source:
        # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEKSClusterPolicy.html
        Sid       = "RoleOfTheBalancers"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/*"
        Condition = { StringEquals = { "iam:AWSServiceName" = "elasticloadbalancing.amazonaws.com" } }
      },
      {
        Sid      = "BackupsStay"
        Effect   = "Deny"
        Action   = ["backup:DeleteBackupVault*", "backup:PutBackupVaultAccessPolicy", "kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]
        Resource = "*"
      },
    ]
  })
}
