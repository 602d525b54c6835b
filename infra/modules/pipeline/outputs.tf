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

output "function_arns" {
  description = "The functions by verb, written out: known before they are made."
  value       = local.function_arns
}

output "function_names" {
  description = "The functions' names by verb."
  value       = { for verb, function in aws_lambda_function.this : verb => function.function_name }
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
  description = "Values of `aws:PrincipalArn` that the container's images are looked at and pulled under; endpoints' are `serving`'s."
  value       = flatten([for purpose in ["admit-run", "job"] : local.role_principals[purpose]])
}

output "bucket_arns" {
  description = "ARNs of the buckets by purpose: intake, work, evidence."
  value       = local.bucket_arns
}

output "bucket_names" {
  description = "Names of the buckets by purpose: intake, work, evidence."
  value       = local.bucket_names
}

output "signing_key_arns" {
  description = "Keys that the attesting functions sign with, by verb."
  value       = { for verb, key in aws_kms_key.signing : verb => key.arn }
}

output "checkpoint_key_arn" {
  description = "Key that transfers' checkpoints are authenticated with."
  value       = aws_kms_key.checkpoint.arn
}

output "function_role_arns" {
  description = "Roles of the functions by verb."
  value       = { for verb in keys(local.functions) : verb => local.role_arns[verb] }
}

output "role_names" {
  description = "Names of every role: of the functions by verb, of services by purpose."
  value       = local.role_names
}

output "job_role_arn" {
  description = "Role that training and processing jobs run under."
  value       = local.role_arns["job"]
}

output "permissions_boundary_arn" {
  description = "Boundary of every role that acts for the pipeline."
  value       = aws_iam_policy.boundary.arn
}

output "function_log_groups" {
  description = "Log groups of the functions by verb."
  value       = local.function_log_groups
}

output "state_machine_name" {
  description = "The pipeline's name."
  value       = local.state_machine_name
}

output "state_machine_log_group" {
  description = "Log group of the pipeline's executions."
  value       = aws_cloudwatch_log_group.state_machine.name
}

output "hub_token_secret_arn" {
  description = "Secret that holds the Hub's token."
  value       = aws_secretsmanager_secret.hub_token.arn
}

output "dead_letter_queue_name" {
  description = "Queue of what could not be delivered, written out; null without `dead_letters`."
  value       = var.dead_letters ? local.dead_letter_name : null
}

output "alerts_topic_arn" {
  description = "Topic that alarms and incidents go to."
  value       = aws_sns_topic.alerts.arn
}

output "rule_names" {
  description = "EventBridge rules by what they are for."
  value       = { for name, rule in aws_cloudwatch_event_rule.this : name => rule.name }
}
