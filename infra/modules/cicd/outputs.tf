output "role_arns" {
  description = "Roles that workflows take on: plan, apply, image, requests."
  value       = { for purpose, role in aws_iam_role.this : purpose => role.arn }
}

output "image_pushers" {
  description = "Values of `aws:PrincipalArn` that images are pushed under: the registry's `pushers`."
  value       = local.role_principals.image
}

output "deployers" {
  description = "ARNs that what is deployed is written under: the pipeline's `deployers`."
  value       = local.role_principals.apply
}

output "subjects" {
  description = "Subjects of GitHub's tokens that each role trusts."
  value       = local.subjects
}

output "requests_session_name" {
  description = "Session name that a workflow must ask for to take on the requests role."
  value       = local.requests_session
}

output "requests_prefix" {
  description = "Where the requests role may upload, in the intake bucket."
  value       = "requests/${aws_iam_role.this["requests"].unique_id}:${local.requests_session}/"
}

output "workload_boundary_arn" {
  description = "Boundary that every role which the apply role makes must have: the modules' `permissions_boundary_arn`."
  value       = aws_iam_policy.workload_boundary.arn
}

output "oidc_provider_arn" {
  description = "GitHub's OIDC provider."
  value       = local.oidc_provider_arn
}

output "state_bucket" {
  description = "Bucket of the state."
  value       = aws_s3_bucket.state.bucket
}

output "state_key_arn" {
  description = "Key that the state is encrypted with."
  value       = aws_kms_key.state.arn
}

output "backend_hcl" {
  description = "What the environment's backend.hcl holds."
  value       = <<-EOT
    bucket       = "${aws_s3_bucket.state.bucket}"
    key          = "${local.state_key}"
    region       = "${local.region}"
    encrypt      = true
    kms_key_id   = "${aws_kms_key.state.arn}"
    use_lockfile = true
  EOT

  # No state before its walls stand.
  depends_on = [aws_s3_bucket_policy.state, aws_s3_bucket_versioning.state, aws_s3_bucket_server_side_encryption_configuration.state]
}

output "state_bucket_arn" {
  description = "The state bucket's ARN, written out: for whoever must admit its access logs before it exists."
  value       = "arn:${local.partition}:s3:::${local.state_bucket}"
}
