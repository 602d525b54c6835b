output "replication" {
  description = "For the variable `replication` of the environment that is copied."
  value       = { bucket_arns = local.arns, kms_key_arn = aws_kms_key.this.arn }
}

output "bucket_names" {
  description = "Names of the copies by purpose: what `lockstep recover` is told."
  value       = local.names
}
