resource "aws_db_subnet_group" "this" {
  name        = local.id
  description = "Private subnets of ${local.id}'s database"
  subnet_ids  = var.subnet_ids
}

locals {
  # Statements are not logged: a role's new password would stand in the log in the clear. Performance Insights shows
  # which ones are slow, and without their values.
  parameters = {
    "rds.force_ssl"            = "1"
    "ssl_min_protocol_version" = "TLSv1.2"
    "log_statement"            = "none"
    "log_connections"          = "1"
    "log_disconnections"       = "1"
    "log_lock_waits"           = "1"
  }
}

resource "aws_db_parameter_group" "this" {
  # An upgrade to another major version needs its parameters before it has given up the ones it has.
  name_prefix = "${local.id}-"
  description = "TLS only, and sessions in the log"
  family      = "postgres${var.database.major_version}"

  dynamic "parameter" {
    for_each = local.parameters

    content {
      name  = parameter.key
      value = parameter.value
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

# A snapshot's name can be used once. Each database leaves its own, whichever was destroyed before it.
resource "terraform_data" "made_at" {
  input = timestamp()

  lifecycle {
    ignore_changes = [input]
  }
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_133:`database.backup_days` is validated to be 7 or more; the check cannot read an object's attribute.
  #checkov:skip=CKV_AWS_157:`database.multi_az` is true unless an environment that can do without says otherwise; the check cannot read an object's attribute.
  #checkov:skip=CKV2_AWS_69:rds.force_ssl is 1 in the parameter group; the check cannot read a dynamic block.
  #checkov:skip=CKV2_AWS_30:Query logging would put role passwords into the log in the clear; Performance Insights shows slow statements without their values.
  identifier = local.id
  db_name    = "mlflow"
  port       = local.database_port

  engine                      = "postgres"
  engine_version              = var.database.major_version
  auto_minor_version_upgrade  = true
  allow_major_version_upgrade = false
  instance_class              = var.database.instance_class
  parameter_group_name        = aws_db_parameter_group.this.name
  ca_cert_identifier          = "rds-ca-rsa2048-g1"

  # RDS makes the password, keeps it in Secrets Manager and rotates it every week. Terraform never sees it.
  username                            = "mlflow"
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = var.data_key_arn
  iam_database_authentication_enabled = true

  storage_type          = "gp3"
  allocated_storage     = var.database.storage_gib
  max_allocated_storage = var.database.max_storage_gib
  storage_encrypted     = true
  kms_key_id            = var.data_key_arn

  multi_az               = var.database.multi_az
  publicly_accessible    = false
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this["database"].id]

  backup_retention_period   = var.database.backup_days
  backup_window             = var.database.backup_window
  maintenance_window        = var.database.maintenance_window
  copy_tags_to_snapshot     = true
  delete_automated_backups  = var.force_destroy
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = var.force_destroy
  final_snapshot_identifier = "${local.id}-${formatdate("YYYYMMDDhhmmss", terraform_data.made_at.output)}"

  performance_insights_enabled          = true
  performance_insights_kms_key_id       = var.data_key_arn
  performance_insights_retention_period = 7
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.this["monitoring"].arn
  enabled_cloudwatch_logs_exports       = ["postgresql", "upgrade"]

  # RDS would make the log groups itself, without key or end; and it tries the role when the instance is made.
  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

locals {
  secret_arn = aws_db_instance.this.master_user_secret[0].secret_arn
}
