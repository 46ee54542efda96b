locals {
  taken_by = { for role, service in { cluster = "eks", nodes = "ec2" } : role => jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "${service}.amazonaws.com" }, Action = "sts:AssumeRole" }]
  }) }
}

resource "aws_iam_role" "cluster" {
  name                 = "${var.name}-eks-cluster"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = local.taken_by["cluster"]
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_iam_role" "nodes" {
  name                 = "${var.name}-eks-nodes"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy   = local.taken_by["nodes"]
}

resource "aws_iam_role_policy_attachment" "nodes" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"])

  role       = aws_iam_role.nodes.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.key}"
}

# Pods get roles by pod identity. Charts that know only the older way, by the cluster's OIDC issuer, find it here.
resource "aws_iam_openid_connect_provider" "this" {
  url            = aws_eks_cluster.this.identity[0].oidc[0].issuer
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_cloudwatch_log_group" "otlp" {
  #checkov:skip=CKV_AWS_338:how long is an input; a year by default, less where only tests run
  name              = "/titanic/otlp"
  kms_key_id        = var.kms_key_arn
  retention_in_days = var.log_retention_days
}

# Roles of pods, each for one service account: the values of the add-ons in k8s/cluster name the same ones.
locals {
  zone = "arn:${local.partition}:route53:::hostedzone/${var.zone_id}"

  pods = {
    volumes = {
      account    = { namespace = "kube-system", service_account = "ebs-csi-controller-sa" }
      statements = []
    }
    secrets = {
      account = var.external_secrets
      statements = [
        {
          Effect   = "Allow"
          Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
          Resource = "arn:${local.partition}:secretsmanager:${data.aws_region.current.region}:${local.account}:secret:${var.name}/*"
        },
        { Effect = "Allow", Action = "kms:Decrypt", Resource = var.kms_key_arn },
      ]
    }
    # cert-manager proves by a record that a name is ours: TXT records of that challenge, in that zone, and no others
    certificates = {
      account = var.cert_manager
      statements = [
        {
          Effect   = "Allow"
          Action   = "route53:ChangeResourceRecordSets"
          Resource = local.zone
          Condition = {
            "ForAllValues:StringEquals" = { "route53:ChangeResourceRecordSetsRecordTypes" = ["TXT"] }
            "ForAllValues:StringLike"   = { "route53:ChangeResourceRecordSetsNormalizedRecordNames" = ["_acme-challenge.*"] }
          }
        },
        { Effect = "Allow", Action = "route53:ListResourceRecordSets", Resource = local.zone },
        { Effect = "Allow", Action = "route53:GetChange", Resource = "arn:${local.partition}:route53:::change/*" },
        # a list of names knows no resource
        { Effect = "Allow", Action = "route53:ListHostedZonesByName", Resource = "*" },
      ]
    }
    # external-dns writes the addresses of Gateways, and TXT records that say which names are its own
    names = {
      account = { namespace = "external-dns", service_account = "external-dns" }
      statements = [
        {
          Effect    = "Allow"
          Action    = "route53:ChangeResourceRecordSets"
          Resource  = local.zone
          Condition = { "ForAllValues:StringEquals" = { "route53:ChangeResourceRecordSetsRecordTypes" = ["A", "AAAA", "CNAME", "TXT"] } }
        },
        { Effect = "Allow", Action = ["route53:ListResourceRecordSets", "route53:ListTagsForResource"], Resource = local.zone },
        { Effect = "Allow", Action = "route53:ListHostedZones", Resource = "*" },
      ]
    }
    # the collector; nothing of X-Ray knows a resource
    telemetry = {
      account = { namespace = "telemetry", service_account = "otel-collector" }
      statements = [
        { Effect = "Allow", Action = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], Resource = "*" },
        {
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.otlp.arn}:*"
        },
      ]
    }
    # the cluster autoscaler changes the groups of this cluster, which EKS tags
    nodes = {
      account = { namespace = "kube-system", service_account = "cluster-autoscaler" }
      statements = [
        { Effect = "Allow", Action = ["autoscaling:Describe*", "ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplateVersions", "eks:DescribeNodegroup"], Resource = "*" },
        {
          Effect    = "Allow"
          Action    = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
          Resource  = "*"
          Condition = { StringEquals = { "aws:ResourceTag/k8s.io/cluster-autoscaler/${var.name}" = "owned" } }
        },
      ]
    }
  }
}

resource "aws_iam_role" "pods" {
  for_each = local.pods

  name                 = "${var.name}-eks-${each.key}"
  path                 = "/${var.name}/"
  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = aws_eks_cluster.this.arn }
      }
    }]
  })
}

resource "aws_iam_role_policy" "pods" {
  for_each = { for name, pod in local.pods : name => pod.statements if length(pod.statements) > 0 }

  name   = each.key
  role   = aws_iam_role.pods[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

resource "aws_iam_role_policy_attachment" "volumes" {
  role       = aws_iam_role.pods["volumes"].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy"
}

resource "aws_eks_pod_identity_association" "pods" {
  for_each = local.pods

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.account.namespace
  service_account = each.value.account.service_account
  role_arn        = aws_iam_role.pods[each.key].arn
}
