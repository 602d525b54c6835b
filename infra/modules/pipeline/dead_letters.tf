# What EventBridge, Scheduler and Lambda gave up delivering: nothing is lost unseen. The sweep answers what an event was
# lost for, so a message here asks for a look and not for being sent again.
locals {
  dead_letter_name = "${var.name}-dead-letters"
  dead_letter_arn  = "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${local.dead_letter_name}"

  dead_letter_arns = var.dead_letters ? [local.dead_letter_arn] : []

  # Functions that events invoke, and nobody waits for.
  woken_by_events = toset(flatten([for rule in values(local.rules) : rule.functions if var.dead_letters]))

  dead_letter_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "KeepWhatARuleCouldNotDeliver"
        Effect    = "Allow"
        Principal = { Service = "events.${local.dns_suffix}" }
        Action    = "sqs:SendMessage"
        Resource  = local.dead_letter_arn
        Condition = { ArnLike = { "aws:SourceArn" = "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${var.name}-*" } }
      },
      {
        Sid       = "SpeakTlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = local.dead_letter_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sqs_queue" "dead_letters" {
  count = var.dead_letters ? 1 : 0

  name                              = local.dead_letter_name
  message_retention_seconds         = 14 * 24 * 3600 # SQS's most
  kms_master_key_id                 = aws_kms_key.data.arn
  kms_data_key_reuse_period_seconds = 3600

  # Here and not in a resource of its own, which the provider would wait for once more.
  policy = local.dead_letter_policy
}
