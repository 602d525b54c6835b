# The Hub's token. Its value is put in by hand, or passes through Terraform without being kept. The Hub cannot be asked
# for another token, so nothing rotates it. Without a value, only what the Hub shows to everybody can be fetched.
resource "aws_secretsmanager_secret" "hub_token" {
  #checkov:skip=CKV2_AWS_57:The Hub cannot be asked for another token, so there is nothing that a rotation could call
  name                    = "${var.name}/hub-token"
  description             = "Access token for the model hub; read by ${local.function_names["download-model"]} alone"
  kms_key_id              = aws_kms_key.data.arn
  recovery_window_in_days = var.force_destroy ? 0 : var.secret_recovery_days
}

# Write-only: the value is in no plan and in no state. Another version sends it again.
resource "aws_secretsmanager_secret_version" "hub_token" {
  count = var.hub_token_version == null ? 0 : 1

  secret_id                = aws_secretsmanager_secret.hub_token.id
  secret_string_wo         = var.hub_token
  secret_string_wo_version = var.hub_token_version
}

resource "aws_secretsmanager_secret_policy" "hub_token" {
  secret_arn = aws_secretsmanager_secret.hub_token.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ReadAsOneFunction"
      Effect    = "Deny"
      Principal = "*"
      Action    = "secretsmanager:GetSecretValue"
      Resource  = "*" # in a secret's policy, the secret itself
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.role_principals["download-model"] } }
    }]
  })
}
