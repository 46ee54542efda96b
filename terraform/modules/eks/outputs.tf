output "cluster" {
  description = "The cluster."
  value       = aws_eks_cluster.this.name
}

output "oidc_provider_arn" {
  description = "The issuer, for roles by service account."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "node_security_group_id" {
  description = "The group that nodes and pods wear."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}
