mock_provider "aws" {
  source = "../../mocks"
}

variables {
  zone_id                  = "Z1"
  name                     = "titanic-test"
  subnet_ids               = ["subnet-1", "subnet-2"]
  administrator_arns       = { team = "arn:aws:iam::123456789012:role/team" }
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/test"
  permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
}

run "the_api_server_is_private_logged_and_encrypted" {
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access == false && aws_eks_cluster.this.vpc_config[0].endpoint_private_access == true
    error_message = "the API server must not be on the internet"
  }

  assert {
    condition     = contains(aws_eks_cluster.this.enabled_cluster_log_types, "audit")
    error_message = "who did what must be logged"
  }

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == var.kms_key_arn
    error_message = "secrets must be encrypted with the key of the environment"
  }

  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions == false
    error_message = "nobody administers the cluster for having made it"
  }
}

run "nodes_keep_their_identity_to_themselves" {
  assert {
    condition     = aws_launch_template.nodes.metadata_options[0].http_tokens == "required" && aws_launch_template.nodes.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "pods must not reach the metadata service"
  }

  assert {
    condition     = length(aws_launch_template.nodes.block_device_mappings) == 2 && alltrue([for disk in aws_launch_template.nodes.block_device_mappings : tobool(disk.ebs[0].encrypted)])
    error_message = "disks must be encrypted"
  }

  assert {
    condition     = jsondecode(aws_eks_addon.network.configuration_values).enableNetworkPolicy == "true"
    error_message = "network policies must be enforced"
  }

  assert {
    condition     = endswith(jsondecode(aws_iam_role_policy.pods["secrets"].policy).Statement[0].Resource, ":secret:titanic-test/*")
    error_message = "External Secrets reads what is of this environment"
  }
}

run "each_add_on_has_a_role_of_its_own" {
  assert {
    condition = toset([for association in aws_eks_pod_identity_association.pods : "${association.namespace}/${association.service_account}"]) == toset([
      "kube-system/ebs-csi-controller-sa", "external-secrets/external-secrets", "cert-manager/cert-manager",
      "external-dns/external-dns", "kube-system/cluster-autoscaler", "telemetry/otel-collector",
    ])
    error_message = "the values of k8s/cluster name these service accounts"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.pods["certificates"].policy).Statement[0].Condition["ForAllValues:StringEquals"]["route53:ChangeResourceRecordSetsRecordTypes"] == ["TXT"]
    error_message = "cert-manager proves names and moves none"
  }
}

run "add_ons_are_pinned_by_name" {
  variables {
    addon_versions = { coredns = "v1.2.3-eksbuild.4", vpc-cni = "v5.6.7-eksbuild.8" }
  }

  assert {
    condition     = aws_eks_addon.this["coredns"].addon_version == "v1.2.3-eksbuild.4" && aws_eks_addon.network.addon_version == "v5.6.7-eksbuild.8"
    error_message = "an add-on must have the version that is named"
  }
}

run "a_version_that_moves_is_refused" {
  command = plan

  variables {
    addon_versions = { coredns = "latest" }
  }

  expect_failures = [var.addon_versions]
}

run "an_api_server_for_everybody_is_refused" {
  command = plan

  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.public_access_cidrs]
}
