# Whoever asks is bound to this: encrypted results in one place, and an end to a query that reads too much.
resource "aws_athena_workgroup" "audit" {
  name          = "${var.name}-audit"
  description   = "Questions of an audit"
  force_destroy = var.force_destroy

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.athena.max_bytes

    result_configuration {
      output_location       = "s3://${aws_s3_bucket.this["athena"].id}/results/"
      expected_bucket_owner = local.account_id

      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = aws_kms_key.audit.arn
      }
    }
  }
}

locals {
  # What is asked about: replaced by whoever asks.
  since = "day >= date_format(current_date - interval '30' day, '%Y/%m/%d')"

  who = "coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn, useridentity.invokedby)"

  # The statement that a file's envelope carries.
  statements = <<-EOT
    WITH statements AS (
      SELECT "$path" AS file, json_parse(from_utf8(from_base64(json_extract_scalar(line, '$.payload')))) AS statement
      FROM evidence
      WHERE "$path" LIKE '%/record.json' AND try(from_base64(json_extract_scalar(line, '$.payload'))) IS NOT NULL
    )
  EOT

  questions = { for question, query in {
    "who approved" = {
      description = "Who set a model package's approval, from where, with what outcome, in the last 30 days"
      sql         = <<-EOT
        SELECT eventtime, ${local.who} AS who, useridentity.principalid AS userid, sourceipaddress, errorcode,
          json_extract_scalar(requestparameters, '$.modelPackageArn') AS model_package,
          json_extract_scalar(requestparameters, '$.modelApprovalStatus') AS decision
        FROM trail
        WHERE eventsource = 'sagemaker.amazonaws.com' AND eventname = 'UpdateModelPackage'
          AND json_extract_scalar(requestparameters, '$.modelApprovalStatus') IS NOT NULL AND ${local.since}
        ORDER BY eventtime DESC
      EOT
      asked       = true
    }
    "who submitted and approved each run" = {
      description = "Submitter, approver, outcome and policy of every sealed run, from the signed records"
      sql         = <<-EOT
        ${trimspace(local.statements)}
        SELECT json_extract_scalar(statement, '$.predicate.run_id') AS run,
          json_extract_scalar(statement, '$.predicate.sealed_at') AS sealed_at,
          json_extract_scalar(statement, '$.predicate.status') AS status,
          json_extract_scalar(statement, '$.predicate.error') AS error,
          json_extract_scalar(statement, '$.predicate.identities.submitter') AS submitter,
          json_extract_scalar(statement, '$.predicate.identities.approver') AS approver,
          json_extract_scalar(statement, '$.predicate.policy_sha256') AS policy_sha256
        FROM statements
        WHERE json_extract_scalar(statement, '$.predicateType') = 'lockstep/record/v1'
        ORDER BY sealed_at DESC
      EOT
      asked       = true
    }
    "verdicts of each run" = {
      description = "What each gate decided, and when, from the signed records"
      sql         = <<-EOT
        ${trimspace(local.statements)}
        SELECT json_extract_scalar(statement, '$.predicate.run_id') AS run,
          json_extract_scalar(verdict, '$.gate') AS gate,
          json_extract_scalar(verdict, '$.verdict') AS verdict,
          json_extract_scalar(verdict, '$.at') AS at
        FROM statements CROSS JOIN UNNEST(CAST(json_extract(statement, '$.predicate.verdicts') AS array(json))) AS v (verdict)
        ORDER BY run, at
      EOT
      asked       = true
    }
    "cost of jobs by month" = {
      description = "What SageMaker's jobs cost by the policy's prices, from the signed records"
      sql         = <<-EOT
        ${trimspace(local.statements)}
        SELECT substr(json_extract_scalar(statement, '$.predicate.sealed_at'), 1, 7) AS month,
          count(*) AS jobs, sum(CAST(json_extract_scalar(cost, '$.usd') AS double)) AS usd
        FROM statements CROSS JOIN UNNEST(CAST(json_extract(statement, '$.predicate.costs') AS array(json))) AS c (cost)
        GROUP BY 1
        ORDER BY 1 DESC
      EOT
      asked       = true
    }
    "who read or wrote evidence" = {
      description = "Every request to an object of the evidence in the last 30 days"
      sql         = <<-EOT
        SELECT eventtime, eventname, ${local.who} AS who, sourceipaddress, errorcode,
          json_extract_scalar(requestparameters, '$.key') AS key
        FROM trail
        WHERE eventsource = 's3.amazonaws.com' AND eventcategory = 'Data'
          AND json_extract_scalar(requestparameters, '$.bucketName') = '${var.buckets.evidence}' AND ${local.since}
        ORDER BY eventtime DESC
      EOT
      asked       = true
    }
    "who signed with which key" = {
      description = "Principals that used a signing or checkpoint key in the last 30 days, and how often"
      sql         = <<-EOT
        SELECT coalesce(element_at(resources, 1).arn, json_extract_scalar(requestparameters, '$.keyId')) AS key,
          eventname, ${local.who} AS who, errorcode, count(*) AS times, min(eventtime) AS first, max(eventtime) AS last
        FROM trail
        WHERE eventsource = 'kms.amazonaws.com' AND eventname IN ('Sign', 'GenerateMac') AND ${local.since}
        GROUP BY 1, 2, 3, 4
        ORDER BY times DESC
      EOT
      asked       = true
    }
    "denied calls" = {
      description = "Whose calls were refused in the last 30 days"
      sql         = <<-EOT
        SELECT ${local.who} AS who, eventsource, eventname, errorcode, count(*) AS times, max(eventtime) AS last
        FROM trail
        WHERE (errorcode LIKE '%UnauthorizedOperation' OR errorcode LIKE 'AccessDenied%') AND ${local.since}
        GROUP BY 1, 2, 3, 4
        ORDER BY times DESC
      EOT
      asked       = true
    }
    "changes to policy" = {
      description = "Who changed what bounds the pipeline in the last 30 days: policy.json and the trust root, policies of roles, buckets and keys"
      sql         = <<-EOT
        SELECT eventtime, eventsource, eventname, ${local.who} AS who, errorcode, requestparameters
        FROM trail
        WHERE ${local.since} AND (
          (eventname IN ('PutObject', 'DeleteObject', 'DeleteObjects') AND json_extract_scalar(requestparameters, '$.bucketName') = '${var.buckets.evidence}'
            AND json_extract_scalar(requestparameters, '$.key') LIKE 'policy/%')
          OR eventname IN ('PutBucketPolicy', 'DeleteBucketPolicy', 'PutObjectLockConfiguration', 'PutBucketObjectLockConfiguration', 'PutKeyPolicy',
            'PutRolePolicy', 'DeleteRolePolicy', 'AttachRolePolicy', 'DetachRolePolicy', 'UpdateAssumeRolePolicy',
            'PutRolePermissionsBoundary', 'DeleteRolePermissionsBoundary', 'UpdateStateMachine', 'SetRepositoryPolicy')
          OR eventname LIKE 'UpdateFunctionCode%' OR eventname LIKE 'UpdateFunctionConfiguration%'
        )
        ORDER BY eventtime DESC
      EOT
      asked       = true
    }
    "deletes tried" = {
      description = "Who deleted, or tried to delete, requests, models, evidence, keys, trails or logs in the last 30 days"
      sql         = <<-EOT
        SELECT eventtime, eventsource, eventname, ${local.who} AS who, errorcode, requestparameters
        FROM trail
        WHERE ${local.since} AND (
          (eventsource = 's3.amazonaws.com' AND eventname LIKE 'Delete%')
          OR eventname IN ('ScheduleKeyDeletion', 'DisableKey', 'StopLogging', 'DeleteTrail', 'DeleteLogGroup', 'DeleteLogStream',
            'DeleteTable', 'DeleteStateMachine', 'DeleteDetector', 'BatchDeleteImage')
        )
        ORDER BY eventtime DESC
      EOT
      asked       = true
    }
    "sign-ins and root" = {
      description = "Sign-ins to the console, and whatever root did, in the last 30 days"
      sql         = <<-EOT
        SELECT eventtime, eventname, useridentity.type AS type, ${local.who} AS who, sourceipaddress,
          json_extract_scalar(responseelements, '$.ConsoleLogin') AS outcome,
          json_extract_scalar(additionaleventdata, '$.MFAUsed') AS mfa
        FROM trail
        WHERE (eventname = 'ConsoleLogin' OR (useridentity.type = 'Root' AND useridentity.invokedby IS NULL AND eventtype <> 'AwsServiceEvent'))
          AND ${local.since}
        ORDER BY eventtime DESC
      EOT
      asked       = true
    }
    "changes to models and endpoints by others" = {
      description = "Who but Lockstep's own roles changed a model or an endpoint in the last 30 days"
      sql         = <<-EOT
        SELECT eventtime, eventname, ${local.who} AS who, sourceipaddress, errorcode, requestparameters
        FROM trail
        WHERE eventsource = 'sagemaker.amazonaws.com' AND regexp_like(eventname, '^(Create|Update|Delete)(Model|Endpoint)')
          AND coalesce(useridentity.sessioncontext.sessionissuer.arn, '') NOT IN (${join(", ", [for name in sort(var.known_roles) : "'arn:${local.partition}:iam::${local.account_id}:role/${name}'"])})
          AND ${local.since}
        ORDER BY eventtime DESC
      EOT
      asked       = true
    }
    "who listed or fetched, by S3's own log" = {
      description = "Requests to the buckets in the last 30 days as S3 logged them: what never reached CloudTrail, such as anonymous ones, is here too"
      sql         = <<-EOT
        SELECT bucket, requester, operation, http_status, count(*) AS times, max(request_time) AS last
        FROM access_logs
        WHERE ${local.since}
        GROUP BY 1, 2, 3, 4
        ORDER BY times DESC
      EOT
      asked       = true
    }
    "refused connections" = {
      description = "What the network refused in the last 30 days"
      sql         = <<-EOT
        SELECT interface_id, srcaddr, dstaddr, dstport, count(*) AS times, sum(packets) AS packets
        FROM flow_logs
        WHERE action = 'REJECT' AND ${local.since}
        GROUP BY 1, 2, 3, 4
        ORDER BY times DESC
      EOT
      asked       = var.flow_logs != null
    }
  } : question => query if query.asked }
}

resource "aws_athena_named_query" "this" {
  for_each = local.questions

  name        = each.key
  description = each.value.description
  workgroup   = aws_athena_workgroup.audit.id
  database    = aws_glue_catalog_database.audit.name
  query       = each.value.sql
}
