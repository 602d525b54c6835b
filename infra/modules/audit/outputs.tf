output "trail_arn" {
  description = "The trail."
  value       = aws_cloudtrail.this.arn
}

output "trail_bucket" {
  description = "Bucket that the trail is kept in."
  value       = aws_s3_bucket.this["trail"].id
}

output "trail_log_group" {
  description = "CloudWatch Logs group that the trail is written to: what metric filters read."
  value       = aws_cloudwatch_log_group.trail.name
}

output "access_log_bucket" {
  description = "Bucket that takes S3's server access logs of `buckets`, under `access_log_prefix`, partitioned by the time of the event."
  value       = aws_s3_bucket.this["access-logs"].id

  # S3 must be admitted before a bucket is told to log here.
  depends_on = [aws_s3_bucket_policy.this]
}

output "access_log_prefix" {
  description = "Prefix that access logs go under. The table reads them by partition: give `target_object_key_format` a `partitioned_prefix` of `EventTime`."
  value       = local.access_log_prefix
}

output "key_arn" {
  description = "Key that encrypts what is recorded. Whoever reads the trail or a query's result must be able to decrypt with it."
  value       = aws_kms_key.audit.arn
}

output "athena_workgroup" {
  description = "Athena workgroup of the audit's questions."
  value       = aws_athena_workgroup.audit.name
}

output "athena_result_bucket" {
  description = "Bucket that results of queries are written to, under `results/`."
  value       = aws_s3_bucket.this["athena"].id
}

output "database" {
  description = "Glue database of the tables."
  value       = aws_glue_catalog_database.audit.name
}

output "questions" {
  description = "Ids of the saved queries by what they ask."
  value       = { for question, query in aws_athena_named_query.this : question => query.id }
}

output "detector_id" {
  description = "GuardDuty's detector; null where it is not made here."
  value       = one(aws_guardduty_detector.this[*].id)
}

output "rule_names" {
  description = "EventBridge rules by purpose, for an alarm on those that cannot reach their target."
  value       = merge({ findings = aws_cloudwatch_event_rule.findings.name }, { for rule in aws_cloudwatch_event_rule.siem : "siem" => rule.name })
}

output "siem_role_arn" {
  description = "Role that Firehose delivers to the SIEM as; null without one."
  value       = var.siem == null ? null : aws_iam_role.this["siem-deliver"].arn
}

output "siem_streams" {
  description = "Firehose streams to the SIEM by what they carry: `logs` and `events`."
  value       = { for stream, resource in aws_kinesis_firehose_delivery_stream.siem : stream => resource.arn }
}

output "access_log_bucket_name" {
  description = "The same bucket, written out: for whoever says what its policy needs, which cannot wait for it."
  value       = local.bucket_names["access-logs"]
}
