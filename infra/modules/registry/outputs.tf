output "repository_url" {
  description = "Where images are pushed to and pulled from."
  value       = aws_ecr_repository.this.repository_url
}

output "repository_name" {
  description = "The repository's name."
  value       = aws_ecr_repository.this.name
}

output "repository_arn" {
  description = "The repository's ARN, written out: what names it need not wait for it."
  value       = local.repository_arn
}
