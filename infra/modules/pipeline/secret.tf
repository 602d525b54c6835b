# The Hub's token. Its value is put in by hand or by rotation and never passes through Terraform, whose state
# would keep it. Without a value, only what the Hub shows to everybody can be fetched.
resource "aws_secretsmanager_secret" "hub_token" {
  name                    = "${var.name}/hub-token"
  description             = "Access token for the model hub; read by ${local.function_names["download-model"]} alone"
  kms_key_id              = aws_kms_key.data.arn
  recovery_window_in_days = var.force_destroy ? 0 : 30
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
