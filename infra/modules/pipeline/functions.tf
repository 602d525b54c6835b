locals {
  # One entry for each crate under functions/. `environment` is the whole list of what its settings.rs reads:
  # a contract test compares the two. A function's timeout ends before its state's, so that the state sees the
  # function's own error and not its own impatience.
  functions = {
    admit-run = {
      timeout   = 110
      memory_mb = 512
      environment = [
        "LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_TABLE", "LOCKSTEP_POLICY_VERSION_ID",
        "LOCKSTEP_POLICY_SHA256", "LOCKSTEP_SIGNING_KEY", "LOCKSTEP_INTAKE_BUCKET", "LOCKSTEP_SWEEP_SECONDS",
        "LOCKSTEP_ENDPOINTS",
      ]
    }
    download-model = {
      timeout   = 900
      memory_mb = var.transfer_memory_mb
      environment = [
        "LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_POLICY_VERSION_ID", "LOCKSTEP_POLICY_SHA256",
        "LOCKSTEP_SIGNING_KEY", "LOCKSTEP_DATA_KEY", "LOCKSTEP_CHECKPOINT_KEY", "LOCKSTEP_HUB_TOKEN_SECRET",
        "HF_ENDPOINT",
      ]
    }
    scan-gate = {
      timeout   = 120
      memory_mb = 256
      environment = [
        "LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_TABLE", "LOCKSTEP_POLICY_VERSION_ID",
        "LOCKSTEP_POLICY_SHA256", "LOCKSTEP_SIGNING_KEY",
      ]
    }
    launch-training = {
      timeout   = 300
      memory_mb = 512
      environment = [
        "LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_TABLE", "LOCKSTEP_POLICY_VERSION_ID",
        "LOCKSTEP_POLICY_SHA256", "LOCKSTEP_SIGNING_KEY", "LOCKSTEP_DATA_KEY", "LOCKSTEP_JOB_ROLE_ARN",
        "LOCKSTEP_SUBNET_IDS", "LOCKSTEP_SECURITY_GROUP_IDS", "LOCKSTEP_TRUST_ROOT_VERSION_ID", "LOCKSTEP_TRUST_ROOT_SHA256",
      ]
    }
    seal-artifact = {
      timeout   = 900
      memory_mb = var.transfer_memory_mb
      environment = [
        "LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_POLICY_VERSION_ID", "LOCKSTEP_POLICY_SHA256",
        "LOCKSTEP_SIGNING_KEY", "LOCKSTEP_DATA_KEY", "LOCKSTEP_CHECKPOINT_KEY",
        "LOCKSTEP_CODE_REVISION",
      ]
    }
    evaluate-model = {
      timeout   = 300
      memory_mb = 512
      environment = [
        "LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_TABLE", "LOCKSTEP_POLICY_VERSION_ID",
        "LOCKSTEP_POLICY_SHA256", "LOCKSTEP_SIGNING_KEY", "LOCKSTEP_DATA_KEY", "LOCKSTEP_JOB_ROLE_ARN",
        "LOCKSTEP_SUBNET_IDS", "LOCKSTEP_SECURITY_GROUP_IDS",
      ]
    }
    approve-package = {
      timeout   = 120
      memory_mb = 256
      environment = [
        "LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_TABLE", "LOCKSTEP_POLICY_VERSION_ID",
        "LOCKSTEP_POLICY_SHA256", "LOCKSTEP_SIGNING_KEY", "LOCKSTEP_TOPIC_ARN",
      ]
    }
    deploy-endpoint = {
      timeout   = 300
      memory_mb = 512
      environment = [
        "LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_TABLE", "LOCKSTEP_POLICY_VERSION_ID",
        "LOCKSTEP_POLICY_SHA256", "LOCKSTEP_SIGNING_KEY", "LOCKSTEP_DATA_KEY", "LOCKSTEP_ENDPOINTS",
        "LOCKSTEP_SUBNET_IDS", "LOCKSTEP_SECURITY_GROUP_IDS", "LOCKSTEP_ENDPOINT_ROLE_ARN", "LOCKSTEP_TRUST_ROOT_VERSION_ID",
        "LOCKSTEP_TRUST_ROOT_SHA256", "LOCKSTEP_BAKE_SECONDS",
      ]
    }
    monitor-drift = {
      timeout     = 900
      memory_mb   = 512
      environment = ["LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_ENDPOINTS", "LOCKSTEP_DRIFT_WINDOW_MINUTES"]
    }
    resume-execution = {
      timeout     = 60
      memory_mb   = 256
      environment = ["LOCKSTEP_TABLE"]
    }
    respond-incident = {
      timeout   = 120
      memory_mb = 512
      environment = [
        "LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_TABLE", "LOCKSTEP_POLICY_VERSION_ID",
        "LOCKSTEP_POLICY_SHA256", "LOCKSTEP_SIGNING_KEY", "LOCKSTEP_ENDPOINTS", "LOCKSTEP_TRUST_ROOT_VERSION_ID",
        "LOCKSTEP_TRUST_ROOT_SHA256", "LOCKSTEP_ALERTS_TOPIC_ARN", "LOCKSTEP_INCIDENT_COOLDOWN_SECONDS", "LOCKSTEP_RUNBOOKS_URL",
      ]
    }
    seal-run = {
      timeout   = 120
      memory_mb = 512
      environment = [
        "LOCKSTEP_WORK_BUCKET", "LOCKSTEP_EVIDENCE_BUCKET", "LOCKSTEP_TABLE", "LOCKSTEP_SIGNING_KEY",
        "LOCKSTEP_TOPIC_ARN",
      ]
    }
  }

  # What each variable holds, but for LOCKSTEP_SIGNING_KEY, which is each function's own.
  settings = {
    LOCKSTEP_WORK_BUCKET           = aws_s3_bucket.this["work"].id
    LOCKSTEP_EVIDENCE_BUCKET       = aws_s3_bucket.this["evidence"].id
    LOCKSTEP_INTAKE_BUCKET         = aws_s3_bucket.this["intake"].id
    LOCKSTEP_TABLE                 = local.table_name
    LOCKSTEP_POLICY_VERSION_ID     = aws_s3_object.policy.version_id
    LOCKSTEP_POLICY_SHA256         = filesha256(var.policy_path)
    LOCKSTEP_DATA_KEY              = aws_kms_key.data.arn
    LOCKSTEP_CHECKPOINT_KEY        = aws_kms_key.checkpoint.arn
    LOCKSTEP_SWEEP_SECONDS         = tostring(var.sweep_seconds)
    LOCKSTEP_ENDPOINTS             = jsonencode({ for name in var.endpoint_names : name => merge({ alarms = local.alarm_names[name] }, local.autoscaling[name]) })
    LOCKSTEP_HUB_TOKEN_SECRET      = aws_secretsmanager_secret.hub_token.arn
    HF_ENDPOINT                    = var.hf_endpoint
    LOCKSTEP_JOB_ROLE_ARN          = local.role_arns["job"]
    LOCKSTEP_ENDPOINT_ROLE_ARN     = local.role_arns["endpoint"]
    LOCKSTEP_SUBNET_IDS            = join(",", var.subnet_ids)
    LOCKSTEP_SECURITY_GROUP_IDS    = join(",", var.security_group_ids)
    LOCKSTEP_TRUST_ROOT_VERSION_ID = aws_s3_object.trust_root.version_id
    LOCKSTEP_TRUST_ROOT_SHA256     = sha256(local.trust_root)
    LOCKSTEP_DRIFT_WINDOW_MINUTES  = tostring(var.drift.window_minutes)
    LOCKSTEP_CODE_REVISION         = var.code_revision
    LOCKSTEP_TOPIC_ARN             = local.topic_arn
    LOCKSTEP_ALERTS_TOPIC_ARN      = local.alerts_arn
    LOCKSTEP_RUNBOOKS_URL          = var.runbooks_url
    LOCKSTEP_BAKE_SECONDS          = tostring(var.bake_seconds)

    LOCKSTEP_INCIDENT_COOLDOWN_SECONDS = tostring(var.incident_cooldown_seconds)
  }
}

# The code goes through a bucket, where it stays by version: Lambda takes less than a debug build's size in the
# call itself, and the provider makes functions one after the other when it has to send their code.
resource "aws_s3_object" "code" {
  for_each = local.functions

  bucket      = aws_s3_bucket.this["work"].id
  key         = "functions/${each.key}.zip"
  source      = "${var.zips_dir}/${each.key}.zip"
  source_hash = filebase64sha256("${var.zips_dir}/${each.key}.zip")

  # Said here, so that it does not hang on which of the bucket's settings came first. It is no secret.
  server_side_encryption = "AES256"

  depends_on = [aws_s3_bucket_versioning.this["work"]]
}

resource "aws_lambda_function" "this" {
  for_each = local.functions

  #checkov:skip=CKV_AWS_272:The deployer alone may write code, and each function is given one version of it by its hash; Signer would sign for the same deployer
  function_name     = local.function_names[each.key]
  role              = aws_iam_role.function[each.key].arn
  runtime           = "provided.al2023"
  handler           = "bootstrap"
  architectures     = [var.architecture]
  s3_bucket         = aws_s3_object.code[each.key].bucket
  s3_key            = aws_s3_object.code[each.key].key
  s3_object_version = aws_s3_object.code[each.key].version_id
  source_code_hash  = filebase64sha256("${var.zips_dir}/${each.key}.zip")
  memory_size       = each.value.memory_mb
  timeout           = each.value.timeout
  kms_key_arn       = aws_kms_key.data.arn

  environment {
    variables = merge(
      var.extra_environment,
      { RUST_LOG = var.log_filter },
      {
        for name in each.value.environment :
        name => name == "LOCKSTEP_SIGNING_KEY" ? aws_kms_key.signing[each.key].arn : local.settings[name]
      },
    )
  }

  reserved_concurrent_executions = var.reserved_concurrency == null ? -1 : try(var.reserved_concurrency[each.key], 10)

  tracing_config {
    mode = "Active"
  }

  # An invocation that somebody waits for answers its own failure.
  dynamic "dead_letter_config" {
    for_each = contains(local.woken_by_events, each.key) ? local.dead_letter_arns : []

    content {
      target_arn = dead_letter_config.value
    }
  }

  dynamic "vpc_config" {
    for_each = contains(local.inside_the_network, each.key) ? [each.key == "download-model" ? var.download_network : var.function_network] : []

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  logging_config {
    log_format = "Text" # the functions write JSON lines themselves
    log_group  = local.function_log_groups[each.key]
  }
}

locals {
  # Whoever speaks to AWS alone stands where no route leads out. What speaks to the Hub has a place of its own.
  inside_the_network = toset([
    for verb in keys(local.functions) : verb if(verb == "download-model" ? var.download_network : var.function_network) != null
  ])

  function_log_groups = { for verb, name in local.function_names : verb => "/aws/lambda/${name}" }
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  #checkov:skip=CKV_AWS_338:How long logs are kept is a variable; what must be known for longer is in the evidence and in the trail
  name              = local.function_log_groups[each.key]
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.data.arn

  # CloudWatch Logs tries the key when it is set.
  depends_on = [aws_kms_key_policy.data]
}
