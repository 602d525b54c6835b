locals {
  # The functions that sign what they decided, or, for seal-run, what happened.
  attesting = toset([for verb, function in local.functions : verb if contains(function.environment, "LOCKSTEP_SIGNING_KEY")])

  # The functions that take up a transfer where another invocation of theirs left it.
  resuming = toset([for verb, function in local.functions : verb if contains(function.environment, "LOCKSTEP_CHECKPOINT_KEY")])
}

# Encrypts everything at rest: buckets, table, topic, secret, logs, volumes, the functions' environment.
resource "aws_kms_key" "data" {
  description             = "Encrypts what ${var.name} stores"
  enable_key_rotation     = true
  rotation_period_in_days = var.key_rotation_days
  deletion_window_in_days = var.key_deletion_days
}

# A resource of its own, so that what needs the key's ARN alone need not wait until the policy has spread.
resource "aws_kms_key_policy" "data" {
  #parliament:skip=MISMATCHED_TYPE:KMS holds an encryption context for text; this one is a log group's ARN, which ArnLike compares part by part
  key_id = aws_kms_key.data.key_id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "LeaveTheRestToIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*" # in a key's policy, the key itself
      },
      {
        Sid       = "EncryptLogs"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.${local.dns_suffix}" }
        # Not kms:Describe*, which AWS's example has: describing a key has no encryption context, so it would never match.
        Action   = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*"]
        Resource = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = concat(
              ["${local.log_group_prefix}:/aws/*/${var.name}-*"],
              # SageMaker names its groups itself.
              [for group in local.sagemaker_log_groups : "${local.log_group_prefix}:${group}"],
            )
          }
        }
      },
      {
        # A rule's dead letters, and alarms, go where this key encrypts. EventBridge sends no source for a condition.
        Sid       = "EncryptWhatServicesSend"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.${local.dns_suffix}", "events.${local.dns_suffix}"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
      },
    ], var.data_key_statements)
  })
}

resource "aws_kms_alias" "data" {
  name          = "alias/${var.name}-data"
  target_key_id = aws_kms_key.data.key_id
}

# One key for each attesting function. Who holds a link can tell which function made it, and a function that is
# taken over can forge no other's. Asymmetric keys cannot rotate: a new one is a new entry in the trust root.
resource "aws_kms_key" "signing" {
  for_each = local.attesting

  description              = "Signs what ${local.function_names[each.key]} attests"
  key_usage                = "SIGN_VERIFY"
  customer_master_key_spec = "ECC_NIST_P256"
  deletion_window_in_days  = var.key_deletion_days
}

resource "aws_kms_key_policy" "signing" {
  for_each = local.attesting

  key_id = aws_kms_key.signing[each.key].key_id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AdministerWithoutSigning"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action = [
          "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey",
          "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:GetPublicKey", "kms:ListGrants", "kms:ListResourceTags",
          "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias",
          "kms:UpdateKeyDescription", "kms:Verify",
        ]
        Resource = "*"
      },
      {
        # Together with the role's own policy: neither is enough alone.
        Sid       = "SignAsOneFunction"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:Sign"
        Resource  = "*"
        Condition = { ArnLike = { "aws:PrincipalArn" = local.role_principals[each.key] } }
      },
      {
        Sid       = "SignAsNobodyElse"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["kms:Sign", "kms:CreateGrant"]
        Resource  = "*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.role_principals[each.key] } }
      },
    ]
  })
}

resource "aws_kms_alias" "signing" {
  for_each = local.attesting

  name          = "alias/${var.name}-sign-${each.key}"
  target_key_id = aws_kms_key.signing[each.key].key_id
}

# What a transfer is told by its own checkpoint decides which bytes are taken for hashed already. An invocation
# derives its key for them with this one, so whoever can write to the bucket can still not write a checkpoint.
# KMS does not rotate HMAC keys. Another key would refuse the checkpoints of transfers under way, and nothing else.
resource "aws_kms_key" "checkpoint" {
  description              = "Authenticates the checkpoints of ${var.name}'s transfers"
  key_usage                = "GENERATE_VERIFY_MAC"
  customer_master_key_spec = "HMAC_256"
  deletion_window_in_days  = var.key_deletion_days
}

resource "aws_kms_key_policy" "checkpoint" {
  key_id = aws_kms_key.checkpoint.key_id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AdministerWithoutUsing"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action = [
          "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey",
          "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListResourceTags", "kms:PutKeyPolicy",
          "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
        ]
        Resource = "*"
      },
      {
        # Together with the role's own policy: neither is enough alone.
        Sid       = "DeriveAsTheTransferringFunctions"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:GenerateMac"
        Resource  = "*"
        Condition = { ArnLike = { "aws:PrincipalArn" = local.resuming_principals } }
      },
      {
        Sid       = "DeriveAsNobodyElse"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["kms:GenerateMac", "kms:CreateGrant"]
        Resource  = "*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.resuming_principals } }
      },
    ]
  })
}

resource "aws_kms_alias" "checkpoint" {
  name          = "alias/${var.name}-checkpoint"
  target_key_id = aws_kms_key.checkpoint.key_id
}

data "aws_kms_public_key" "signing" {
  for_each = local.attesting

  key_id = aws_kms_key.signing[each.key].arn
}

locals {
  resuming_principals = flatten([for verb in sort(local.resuming) : local.role_principals[verb]])

  # What each function signs besides its links.
  predicate_types = {
    download-model  = ["https://model_signing/signature/v1.0"]
    scan-gate       = ["https://in-toto.io/attestation/vulns/v0.1"]
    seal-artifact   = ["https://slsa.dev/provenance/v1"]
    evaluate-model  = ["https://in-toto.io/attestation/test-result/v0.1"]
    deploy-endpoint = ["https://in-toto.io/attestation/test-result/v0.1"]
  }

  # A gate signs links. Who is none signs what is its own, and no link.
  gates_and_others = {
    for verb in local.attesting : verb => lookup({
      seal-run         = ["lockstep/record/v1"]
      respond-incident = ["lockstep/incident/v1", "lockstep/incident-outcome/v1", "lockstep/revocation/v1"]
    }, verb, ["lockstep/link/v1"])
  }

  # Which key may sign what, for whom, since when. Replaced keys stay, so that what they signed still verifies.
  trust_root = jsonencode({
    schema = "lockstep/trust-root/v1"
    keys = concat(
      [
        for verb in sort(local.attesting) : {
          keyid           = aws_kms_key.signing[verb].arn
          function        = verb
          public_key      = data.aws_kms_public_key.signing[verb].public_key
          predicate_types = sort(concat(local.gates_and_others[verb], try(local.predicate_types[verb], [])))
          not_before      = var.signing_keys_not_before
        }
      ],
      [
        for key in aws_kms_key.forget : {
          keyid           = key.arn
          function        = "forget"
          public_key      = data.aws_kms_public_key.forget[0].public_key
          predicate_types = ["lockstep/forgotten/v1"]
          not_before      = var.signing_keys_not_before
        }
      ],
      var.replaced_signing_keys,
    )
    promotes_from = var.promotes_from
  })
}

# launch-training, which takes promoted runs over, deploy-endpoint, and respond-incident, which rolls back, are told its version and digest, and believe no other: whoever can write evidence cannot say who
# signed it.
resource "aws_s3_object" "trust_root" {
  bucket       = aws_s3_bucket.this["evidence"].id
  key          = "policy/trust-root.json"
  content      = local.trust_root
  content_type = "application/json"

  # Past the lock, where the whole environment may go.
  force_destroy = var.force_destroy

  depends_on = [
    aws_s3_bucket_versioning.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
  ]

  lifecycle {
    # The bucket gives each new version its retention; Terraform would take it for drift.
    ignore_changes = [object_lock_mode, object_lock_retain_until_date]
  }
}
