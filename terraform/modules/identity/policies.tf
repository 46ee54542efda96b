locals {
  # the state and its lock, and nothing else of the bucket
  state_read = [
    {
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = var.state.bucket_arn
      Condition = { StringEquals = { "s3:prefix" = [var.state.object, "${var.state.object}.tflock"] } }
    },
    { Effect = "Allow", Action = "s3:GetObject", Resource = "${var.state.bucket_arn}/${var.state.object}" },
    { Effect = "Allow", Action = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], Resource = "${var.state.bucket_arn}/${var.state.object}.tflock" },
    { Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.state.kms_key_arn },
  ]
  state_write = [{ Effect = "Allow", Action = "s3:PutObject", Resource = "${var.state.bucket_arn}/${var.state.object}" }]

  # what `terraform plan -out` wrote, for the run that applies it
  plans = "${var.state.bucket_arn}/plans/${var.environment}/*"

  own_roles = "arn:${local.partition}:iam::${local.account}:role/${var.name}/*"
}

# Plan: reads how things are and its own state, not what is in other objects, secrets and logs. The deny statements below
# take back what ReadOnlyAccess allows of that. Source:
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/ReadOnlyAccess.html
resource "aws_iam_role_policy_attachment" "plan" {
  role       = aws_iam_role.github["plan"].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/ReadOnlyAccess"
}

resource "aws_iam_role_policy" "plan" {
  name = "plan"
  role = aws_iam_role.github["plan"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.state_read, [
      {
        # for the apply role, which alone can read it again
        Sid      = "SavePlans"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = local.plans
      },
      {
        Sid         = "NoContents"
        Effect      = "Deny"
        Action      = "s3:GetObject*"
        NotResource = ["${var.state.bucket_arn}/${var.state.object}", "${var.state.bucket_arn}/${var.state.object}.tflock"]
      },
      {
        # the bucket keeps old states, and a key to the present one opens them as well
        Sid      = "NoFormerContents"
        Effect   = "Deny"
        Action   = ["s3:GetObjectVersion", "s3:GetObjectVersionTorrent"]
        Resource = "*"
      },
      {
        # no login is in a plan, a state or an attribute that Terraform refreshes
        Sid    = "NoSecretsAndLogs"
        Effect = "Deny"
        Action = [
          "logs:FilterLogEvents", "logs:GetLogEvents", "logs:GetLogObject", "logs:GetLogRecord", "logs:GetQueryResults", "logs:StartLiveTail",
          "logs:StartQuery", "rds:Download*", "secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue", "ssm:GetParameter*",
        ]
        Resource = "*"
      },
    ])
  })
}

# Apply: everything but people, and only roles that the boundary caps.
resource "aws_iam_role_policy_attachment" "apply" {
  role       = aws_iam_role.github["apply"].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/PowerUserAccess"
}

resource "aws_iam_role_policy" "apply" {
  name = "apply"
  role = aws_iam_role.github["apply"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.state_read, local.state_write, [
      {
        Sid      = "RolesUnderTheBoundary"
        Effect   = "Allow"
        Action   = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:DetachRolePolicy", "iam:DeleteRolePolicy", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"]
        Resource = local.own_roles
        Condition = {
          StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary.arn }
        }
      },
      {
        Sid      = "OwnRoles"
        Effect   = "Allow"
        Action   = ["iam:DeleteRole", "iam:PassRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole"]
        Resource = local.own_roles
      },
      {
        Sid      = "Looking"
        Effect   = "Allow"
        Action   = ["iam:Get*", "iam:List*"]
        Resource = "*"
      },
      {
        Sid      = "IssuerOfTheCluster"
        Effect   = "Allow"
        Action   = ["iam:CreateOpenIDConnectProvider", "iam:DeleteOpenIDConnectProvider", "iam:TagOpenIDConnectProvider"]
        Resource = "arn:${local.partition}:iam::${local.account}:oidc-provider/oidc.eks.*"
      },
      {
        Sid      = "RolesOfAwsItself"
        Effect   = "Allow"
        Action   = "iam:CreateServiceLinkedRole"
        Resource = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/*"
      },
      {
        Sid      = "NeverTheBoundary"
        Effect   = "Deny"
        Action   = ["iam:CreatePolicyVersion", "iam:DeletePolicy*", "iam:DeleteRolePermissionsBoundary", "iam:SetDefaultPolicyVersion"]
        Resource = "*"
      },
    ])
  })
}

# Deploy: a new revision with a new digest, and nothing else.
resource "aws_iam_role_policy" "deploy" {
  name = "deploy"
  role = aws_iam_role.github["deploy"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "KnowNoResource"
        Effect = "Allow"
        Action = [
          "cloudwatch:DescribeAlarms", "ecr:GetAuthorizationToken", "ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition",
        ]
        Resource = "*"
      },
      {
        Sid    = "Push"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
          "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
        ]
        Resource = [for name in var.service.repositories : "arn:${local.partition}:ecr:${local.here}:repository/${var.name}/${name}"]
      },
      {
        Sid      = "Release"
        Effect   = "Allow"
        Action   = ["ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:UpdateService"]
        Resource = "arn:${local.partition}:ecs:${local.here}:service/${var.service.cluster}/${var.service.service}"
      },
      {
        Sid    = "WatchAndTakeBack"
        Effect = "Allow"
        Action = ["ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions", "ecs:StopServiceDeployment"]
        Resource = [
          "arn:${local.partition}:ecs:${local.here}:service-deployment/${var.service.cluster}/${var.service.service}/*",
          "arn:${local.partition}:ecs:${local.here}:service-revision/${var.service.cluster}/${var.service.service}/*",
        ]
      },
      {
        Sid       = "RunAsTheService"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = [for role in ["execution", "task"] : "arn:${local.partition}:iam::${local.account}:role/${var.name}/${var.name}-${role}"]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ]
  })
}
