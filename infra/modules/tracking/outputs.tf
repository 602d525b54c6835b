output "url" {
  description = "Where people look at runs."
  value       = "https://${var.host_name}"
}

output "machine_url" {
  description = "`MLFLOW_TRACKING_URI` of programs, which show a certificate; null without `machines`."
  value       = var.machines == null ? null : "https://${var.host_name}:${local.machine_port}"
}

output "callback_url" {
  description = "Callback address that the Cognito app client must allow."
  value       = "https://${var.host_name}/oauth2/idpresponse"
}

output "load_balancer" {
  description = "The load balancer: ARN, DNS name, and the zone that an alias to it names."
  value       = { arn = aws_lb.this.arn, dns_name = aws_lb.this.dns_name, zone_id = aws_lb.this.zone_id }
}

output "security_group_ids" {
  description = "Security groups by what is in them: load_balancer, server, database."
  value       = { for purpose, group in aws_security_group.this : purpose => group.id }
}

output "artifacts_bucket" {
  description = "Bucket of what runs logged: name and ARN."
  value       = { name = aws_s3_bucket.artifacts.id, arn = local.bucket_arn }
}

output "database" {
  description = "The database: identifier, address, and the ARN of the secret that RDS keeps its password in (the ARN alone)."
  value       = { identifier = aws_db_instance.this.identifier, address = aws_db_instance.this.address, secret_arn = local.secret_arn }
}

output "cluster_name" {
  description = "ECS cluster, and the name of the service in it."
  value       = aws_ecs_cluster.this.name
}

output "role_arns" {
  description = "Roles by purpose: execution, task, monitoring, redeploy, events."
  value       = { for purpose, role in aws_iam_role.this : purpose => role.arn }
}

output "image_pullers" {
  description = "Values of `aws:PrincipalArn` that the server's image is pulled under: the registry module's `pullers`."
  value       = local.role_principals["execution"]
}

output "log_groups" {
  description = "Log groups by what writes to them: server, insights, database, upgrade, redeploy."
  value       = { for purpose, group in aws_cloudwatch_log_group.this : purpose => group.name }
}

output "alarm_names" {
  description = "Alarms by what they watch."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.alarm_name }
}

output "widgets" {
  description = "Widgets that a CloudWatch dashboard can append to its own: objects of type, width, height and properties, without a place, so that they flow."
  value       = local.widgets
}

output "endpoint_services" {
  description = "VPC endpoints that the tasks need: S3's as a gateway, the others as interfaces. KMS is called on their behalf, by S3 and Secrets Manager, and by nothing in the VPC."
  value       = ["ecr.api", "ecr.dkr", "logs", "s3", "secretsmanager"]
}

output "data_key_statements" {
  description = "Statements that the data key's policy needs, so that Fargate can encrypt the tasks' scratch space."
  value       = local.data_key_statements
}

output "access_log_statements" {
  description = "Statements that the access log bucket's policy needs. The bucket must be encrypted with S3's own key (SSE-S3): neither service writes logs to another."
  value       = local.access_log_statements
}
