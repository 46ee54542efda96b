output "role_arns" {
  description = "Roles for GitHub: plan, apply, deploy."
  value       = { for name, role in aws_iam_role.github : name => role.arn }
}

output "permissions_boundary_arn" {
  description = "The most that roles of the environment may do."
  value       = aws_iam_policy.boundary.arn
}
