output "repository_url" {
  description = "Where images are pushed to and pulled from."
  value       = aws_ecr_repository.this.repository_url
}

output "repository_name" {
  description = "The repository's name."
  value       = aws_ecr_repository.this.name
}
