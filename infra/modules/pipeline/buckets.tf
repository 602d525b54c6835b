locals {
  buckets = toset(["intake", "work", "evidence"])

  # Days until what lies at a place expires, none where it does not: a schedule's request must stay, and what serves is
  # compared with its baseline for as long as it does. Former versions go everywhere.
  expiring = {
    intake = { "requests/" = null }
    work = {
      "baselines/" = null
      "capture/"   = var.retention_days.capture
      "datasets/"  = var.retention_days.datasets
      "drift/"     = var.retention_days.drift
      "labels/"    = var.retention_days.labels
    }
    evidence = {}
  }
}

resource "aws_s3_bucket" "this" {
  for_each = local.buckets

  #checkov:skip=CKV_AWS_18:`access_log_bucket` switches access logs on, for all three, where `audit` has a bucket for them
  #checkov:skip=CKV_AWS_144:`replication` switches copies on: in which region or account any may lie is the environment's decision
  #checkov:skip=CKV2_AWS_62:The intake tells EventBridge of each upload, and nothing waits for what lies in the other two
  bucket              = local.bucket_names[each.key]
  force_destroy       = var.force_destroy
  object_lock_enabled = each.key == "evidence"
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.data.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.buckets

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = var.abort_uploads_after_days == null ? [] : local.buckets

  #checkov:skip=CKV_AWS_300:The first rule aborts them, everywhere in the bucket; beside dynamic rules the check does not see it
  bucket = aws_s3_bucket.this[each.key].id

  # What was found wrong is aborted by the function that fetched it, and what a run left open when that is sealed;
  # this catches what neither came to.
  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_uploads_after_days
    }
  }

  # A checkpoint replaces the one before it after each part, and a filter cannot say `runs/*/transfer/`. Nothing
  # reads a former version of anything else in there either: what a job wrote is read by its latest. Nor can it say
  # `runs/*/evaluation/`, where answers to people's rows are: a run's folder goes as a whole, long after the run.
  dynamic "rule" {
    for_each = each.key == "work" ? ["runs/"] : []

    content {
      id     = "forget-former-checkpoints"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      expiration {
        days = var.retention_days.runs
      }

      noncurrent_version_expiration {
        noncurrent_days = var.abort_uploads_after_days
      }
    }
  }

  # A spot job's checkpoints are read by that job alone, while it runs: what is written to again stays.
  dynamic "rule" {
    for_each = each.key == "work" ? ["checkpoints/"] : []

    content {
      id     = "forget-training-checkpoints"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      expiration {
        days = var.abort_uploads_after_days
      }

      noncurrent_version_expiration {
        noncurrent_days = 1
      }
    }
  }

  # What people's data is in does not stay for ever; docs/retention.md has the table. With versions, expiring only
  # hides an object: the second half of each rule is what deletes.
  dynamic "rule" {
    for_each = local.expiring[each.key]

    content {
      id     = "forget-${replace(trimsuffix(rule.key, "/"), "/", "-")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      dynamic "expiration" {
        for_each = rule.value[*]

        content {
          days = expiration.value
        }
      }

      noncurrent_version_expiration {
        noncurrent_days = var.retention_days.former
      }
    }
  }

  # What was taken over lies in `artifacts/` and in the evidence.
  dynamic "rule" {
    for_each = each.key == "intake" ? ["promotions/"] : []

    content {
      id     = "forget-promotions"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      expiration {
        days = var.forget_promotions_after_days
      }

      noncurrent_version_expiration {
        noncurrent_days = var.forget_promotions_after_days
      }
    }
  }

  # Weights of gigabytes, read whenever an endpoint grows and by nobody for months.
  dynamic "rule" {
    for_each = each.key == "work" && var.intelligent_tiering ? ["models/", "artifacts/", "capture/"] : []

    content {
      id     = "tier-${trimsuffix(rule.value, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      transition {
        days          = 0
        storage_class = "INTELLIGENT_TIERING"
      }
    }
  }
}

resource "aws_s3_bucket_logging" "this" {
  for_each = var.access_log_bucket == null ? [] : local.buckets

  bucket        = aws_s3_bucket.this[each.key].id
  target_bucket = var.access_log_bucket
  target_prefix = "s3/"

  # As `audit`'s table of access logs looks for them.
  target_object_key_format {
    partitioned_prefix {
      partition_date_source = "EventTime"
    }
  }
}

resource "aws_s3_bucket_object_lock_configuration" "evidence" {
  bucket = aws_s3_bucket.this["evidence"].id

  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.evidence_retention_days
    }
  }
}

resource "aws_s3_bucket_notification" "intake" {
  bucket      = aws_s3_bucket.this["intake"].id
  eventbridge = true
}

locals {
  over_tls_only = {
    for purpose, arn in local.bucket_arns : purpose => {
      Sid       = "SpeakTlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [arn, "${arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
  }

  intake_statements = [
    {
      # The place of a request says who submitted it, and nothing that it holds does. What is carried over of a run to
      # promote proves itself; nobody but its carrier is to replace it under way.
      Sid         = "WriteUnderOnesOwnIdOnly"
      Effect      = "Deny"
      Principal   = "*"
      Action      = "s3:PutObject"
      NotResource = [for place in ["promotions", "requests"] : "${local.bucket_arns["intake"]}/${place}/$${aws:userid}/*"]
    },
    {
      # Who forgets a person deletes what others brought, and writes nothing in its place.
      Sid         = "DeleteUnderOnesOwnIdOnly"
      Effect      = "Deny"
      Principal   = "*"
      Action      = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
      NotResource = [for place in ["promotions", "requests"] : "${local.bucket_arns["intake"]}/${place}/$${aws:userid}/*"]
      Condition   = { ArnNotLike = { "aws:PrincipalArn" = local.forget_principals } }
    },
  ]

  # Where each function alone may write in the work bucket.
  write_once = { models = "download-model", artifacts = "seal-artifact" }

  work_statements = concat(
    [
      for prefix, verb in local.write_once : {
        Sid       = "Write${title(prefix)}AsOneFunction"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns["work"]}/${prefix}/*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.role_principals[verb] } }
      }
    ],
    [
      {
        # An endpoint reads its prefix again whenever it grows: what was verified there must stay what it was.
        # Parts of an upload create nothing yet, and cannot carry the header.
        Sid       = "WriteOnce"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = [for prefix in keys(local.write_once) : "${local.bucket_arns["work"]}/${prefix}/*"]
        Condition = {
          Null = { "s3:if-none-match" = "true" }
          Bool = { "s3:ObjectCreationOperation" = "true" }
        }
      },
      {
        Sid       = "NeverDelete"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = [for prefix in keys(local.write_once) : "${local.bucket_arns["work"]}/${prefix}/*"]
      },
      {
        # A job goes on from its checkpoints: nobody else is to say from where. The account's root could change this
        # policy, so that naming it gives nothing away; some accounts that speak AWS's protocol move jobs' data as root.
        Sid       = "WriteCheckpointsAsJobsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns["work"]}/checkpoints/*"
        Condition = {
          ArnNotLike = {
            "aws:PrincipalArn" = concat(local.role_principals["job"], ["arn:${local.partition}:iam::${local.account_id}:root"])
          }
        }
      },
      {
        Sid       = "WriteCodeAsTheDeployerOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = "${local.bucket_arns["work"]}/functions/*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.deployers } }
      },
      {
        # Who submits a model must not choose what it is judged by. Who forgets a person takes rows out of it.
        Sid       = "WriteEvaluationDataAsItsStewardsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = local.evaluation_data
        Condition = merge(
          { ArnNotLike = { "aws:PrincipalArn" = local.forget_principals } },
          length(local.evaluation_writers) == 0 ? {} : { StringNotLike = { "aws:userid" = local.evaluation_writers } },
        )
      },
      {
        # What turned out to be true decides whether a model that serves is still good. Who forgets a person takes labels out of it.
        Sid       = "WriteLabelsAsTheirWritersOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = "${local.bucket_arns["work"]}/labels/*"
        Condition = merge(
          { ArnNotLike = { "aws:PrincipalArn" = local.forget_principals } },
          length(var.label_writers) == 0 ? {} : { StringNotLike = { "aws:userid" = var.label_writers } },
        )
      },
    ],
  )

  # Each gate writes in its own place only.
  evidence_places = {
    for verb in local.attesting : verb => lookup({
      seal-run         = ["runs/*/${verb}/*", "runs/*/record.json"]
      respond-incident = ["incidents/*", "revoked/*"]
    }, verb, ["runs/*/${verb}/*"])
  }

  # What a run's evidence is made of, and what is said of models that serve.
  run_writers       = setsubtract(local.attesting, ["respond-incident"])
  evidence_prefixes = ["forgotten", "incidents", "revoked", "runs"]

  evidence_statements = concat(
    [
      for verb in sort(local.attesting) : {
        Sid       = "Write${join("", [for word in split("-", verb) : title(word)])}EvidenceAsItself"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = [for place in local.evidence_places[verb] : "${local.bucket_arns["evidence"]}/${place}"]
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.role_principals[verb] } }
      }
    ],
    [
      {
        Sid       = "WriteEvidenceAsAGateOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns["evidence"]}/runs/*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = flatten([for verb in sort(local.run_writers) : local.role_principals[verb]]) } }
      },
      {
        # What was signed stays what was signed; a gate that finds its place taken refuses.
        Sid       = "WriteEvidenceOnce"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = [for prefix in local.evidence_prefixes : "${local.bucket_arns["evidence"]}/${prefix}/*"]
        Condition = {
          Null = { "s3:if-none-match" = "true" }
          Bool = { "s3:ObjectCreationOperation" = "true" }
        }
      },
      {
        # A delete marker would hide a file whose version is locked.
        Sid       = "NeverDeleteEvidence"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        Resource  = [for prefix in local.evidence_prefixes : "${local.bucket_arns["evidence"]}/${prefix}/*"]
      },
      {
        Sid       = "WriteReceiptsAsWhoForgetsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns["evidence"]}/forgotten/*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.forget_principals } }
      },
      {
        Sid       = "WritePolicyAsTheDeployerOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arns["evidence"]}/policy/*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.deployers } }
      },
      {
        Sid         = "WriteNothingElse"
        Effect      = "Deny"
        Principal   = "*"
        Action      = "s3:PutObject"
        NotResource = [for prefix in concat(local.evidence_prefixes, ["policy"]) : "${local.bucket_arns["evidence"]}/${prefix}/*"]
      },
    ],
  )

  bucket_statements = {
    intake   = local.intake_statements
    work     = local.work_statements
    evidence = local.evidence_statements
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket.this[each.key].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([local.over_tls_only[each.key]], local.bucket_statements[each.key])
  })
}
