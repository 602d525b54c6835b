output "intake_bucket" {
  description = "Bucket that requests are uploaded to, under `requests/<aws:userid>/`."
  value       = aws_s3_bucket.this["intake"].id
}

output "work_bucket" {
  description = "Bucket of models, artifacts and datasets."
  value       = aws_s3_bucket.this["work"].id
}

output "evidence_bucket" {
  description = "Bucket of what the gates signed."
  value       = aws_s3_bucket.this["evidence"].id
}

output "table" {
  description = "Coordination table."
  value       = aws_dynamodb_table.coordination.name
}

output "state_machine_arn" {
  description = "The pipeline."
  value       = aws_sfn_state_machine.pipeline.arn
}

output "topic_arn" {
  description = "Topic that says what awaits approval and how runs ended."
  value       = aws_sns_topic.notifications.arn
}

output "data_key_arn" {
  description = "Key that everything at rest is encrypted with."
  value       = aws_kms_key.data.arn
}

output "function_names" {
  description = "The functions' names by verb."
  value       = { for verb, function in aws_lambda_function.this : verb => function.function_name }
}

output "endpoints" {
  description = "Endpoints that requests may choose, with their alarms."
  value       = { for name in keys(var.endpoints) : name => { alarms = local.alarm_names[name] } }
}

output "trust_root" {
  description = "Which key may sign what, for whom, since when: what `lockstep verify --trust` reads."
  value       = jsondecode(local.trust_root)
}

output "scheduler_role_arn" {
  description = "Role that a schedule starts runs with."
  value       = aws_iam_role.service["scheduler"].arn
}

output "image_pullers" {
  description = "Values of `aws:PrincipalArn` that the container's images are pulled under."
  value       = flatten([for purpose in ["admit-run", "job", "endpoint"] : local.role_principals[purpose]])
}
