output "intake_bucket" {
  description = "Bucket that requests are uploaded to, under `requests/<aws:userid>/`."
  value       = module.pipeline.intake_bucket
}

output "work_bucket" {
  description = "Bucket of models, artifacts and datasets."
  value       = module.pipeline.work_bucket
}

output "evidence_bucket" {
  description = "Bucket of what the gates signed."
  value       = module.pipeline.evidence_bucket
}

output "table" {
  description = "Coordination table."
  value       = module.pipeline.table
}

output "state_machine_arn" {
  description = "The pipeline."
  value       = module.pipeline.state_machine_arn
}

output "topic_arn" {
  description = "Topic that says what awaits approval and how runs ended."
  value       = module.pipeline.topic_arn
}

output "data_key_arn" {
  description = "Key that everything at rest is encrypted with."
  value       = module.pipeline.data_key_arn
}

output "repository_url" {
  description = "Where the container's images are pushed to."
  value       = module.registry.repository_url
}

output "function_names" {
  description = "The functions' names by verb."
  value       = module.pipeline.function_names
}

output "endpoints" {
  description = "Endpoints that requests may choose, with their alarms."
  value       = { for name, endpoint in module.serving.endpoints : name => { alarms = endpoint.alarms } }
}

output "trust_root" {
  description = "Public keys of the attesting functions, base64 of DER, by verb."
  value       = module.pipeline.trust_root
}

output "scheduler_role_arn" {
  description = "Role that a schedule starts runs with."
  value       = module.pipeline.scheduler_role_arn
}

output "alerts_topic_arn" {
  description = "Topic that alarms and incidents go to."
  value       = module.pipeline.alerts_topic_arn
}

output "vpc_id" {
  description = "The VPC that was made; null where `network` is null."
  value       = try(module.network[0].vpc_id, null)
}

output "alarms" {
  description = "Every alarm of `observability`, with a sample that fires it; empty where that is null."
  value       = try(module.observability[0].alarms, {})
}

output "metric_filters" {
  description = "Every metric filter of `observability`, with lines that match and that do not; empty where that is null."
  value       = try(module.observability[0].metric_filters, {})
}

output "caller_role_arn" {
  description = "Role that invokes the endpoints; null without `callers`."
  value       = module.serving.caller_role_arn
}

output "backend_hcl" {
  description = "Terraform's own backend, once `cicd` made its bucket; null where that is null."
  value       = try(module.cicd[0].backend_hcl, null)
}
