# What must hold of the plan whatever the account: run with `terraform test`, no account needed.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = {
      partition  = "aws"
      dns_suffix = "amazonaws.com"
    }
  }
  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:123456789012:key/33333333-3333-4333-8333-333333333333" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mocked" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mocked" }
  }
  mock_resource "aws_kinesis_firehose_delivery_stream" {
    defaults = { arn = "arn:aws:firehose:us-east-1:123456789012:deliverystream/mocked" }
  }
}

variables {
  topic_arn         = "arn:aws:sns:us-east-1:123456789012:lockstep-alarms"
  state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:lockstep-pipeline"
  table_name        = "lockstep-coordination"
  known_roles       = ["lockstep-approve-package", "lockstep-deploy-endpoint", "lockstep-seal-run"]
  buckets = {
    intake   = "lockstep-intake-123456789012"
    work     = "lockstep-work-123456789012"
    evidence = "lockstep-evidence-123456789012"
  }
}

run "records_every_call_everywhere" {
  assert {
    condition     = aws_cloudtrail.this.is_multi_region_trail && aws_cloudtrail.this.include_global_service_events && aws_cloudtrail.this.enable_log_file_validation
    error_message = "The trail must record every region and the global services, and be verifiable."
  }
  assert {
    condition     = aws_cloudtrail.this.kms_key_id == aws_kms_key.audit.arn && aws_kms_key.audit.enable_key_rotation
    error_message = "The trail must be encrypted with a key that rotates."
  }
  assert {
    condition = anytrue([
      for selector in aws_cloudtrail.this.advanced_event_selector :
      length(selector.field_selector) == 1 && alltrue([for field in selector.field_selector : field.field == "eventCategory" && try(contains(field.equals, "Management"), false)])
    ])
    error_message = "All management events must be recorded, those that only read included."
  }
  assert {
    condition = toset(flatten([
      for selector in aws_cloudtrail.this.advanced_event_selector : [
        for field in selector.field_selector : concat(coalesce(field.starts_with, []), coalesce(field.equals, [])) if field.field == "resources.ARN"
      ]
      ])) == toset([
      "arn:aws:s3:::lockstep-intake-123456789012/", "arn:aws:s3:::lockstep-work-123456789012/", "arn:aws:s3:::lockstep-evidence-123456789012/",
      "arn:aws:lambda:us-east-1:123456789012:function:lockstep-",
      "arn:aws:dynamodb:us-east-1:123456789012:table/lockstep-coordination",
    ])
    error_message = "Reads and writes of the three buckets and the table, and invocations of the functions, must be recorded."
  }
  assert {
    condition     = aws_cloudwatch_log_group.trail.name == "/aws/cloudtrail/lockstep-trail" && aws_cloudwatch_log_group.trail.retention_in_days == 90 && aws_cloudwatch_log_group.trail.kms_key_id == aws_kms_key.audit.arn
    error_message = "Metric filters must find the trail in an encrypted log group."
  }
}

run "keeps_the_trail_from_whoever_would_edit_it" {
  assert {
    condition = (
      aws_s3_bucket.this["trail"].object_lock_enabled && aws_s3_bucket_versioning.this["trail"].versioning_configuration[0].status == "Enabled" &&
      one(one(aws_s3_bucket_object_lock_configuration.trail.rule).default_retention).mode == "GOVERNANCE" &&
      one(one(aws_s3_bucket_object_lock_configuration.trail.rule).default_retention).days == 365
    )
    error_message = "The trail must be locked for a year."
  }
  assert {
    condition = alltrue([
      for purpose in ["trail", "access-logs"] : anytrue([
        for statement in jsondecode(aws_s3_bucket_policy.this[purpose].policy).Statement :
        statement.Sid == "NeverDelete" && statement.Effect == "Deny" && statement.Principal == "*" && contains(flatten([statement.Action]), "s3:DeleteObjectVersion") && !can(statement.Condition)
      ])
    ])
    error_message = "Nobody may delete what was recorded."
  }
  assert {
    condition = alltrue([
      for purpose in ["trail", "access-logs"] : anytrue([
        for statement in jsondecode(aws_s3_bucket_policy.this[purpose].policy).Statement :
        statement.Effect == "Deny" && statement.Action == "s3:PutObject" && try(statement.Condition.Bool["aws:PrincipalIsAWSService"], "") == "false"
      ])
    ])
    error_message = "Nobody may put a forged record beside the real ones."
  }
  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_s3_bucket_policy.this["trail"].policy).Statement :
      statement.Effect == "Deny" || (try(statement.Principal.Service, "") == "cloudtrail.amazonaws.com" && try(statement.Condition.StringEquals["aws:SourceArn"], "") == "arn:aws:cloudtrail:us-east-1:123456789012:trail/lockstep-trail")
    ]))
    error_message = "Only CloudTrail may write the trail's bucket, and only for this trail."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_kms_key_policy.audit.policy).Statement :
      !contains(keys(statement.Principal), "Service") || try(statement.Condition.StringEquals["aws:SourceArn"], statement.Condition.ArnLike["kms:EncryptionContext:aws:logs:arn"], "") != ""
    ])
    error_message = "No service may use the audit key for somebody else."
  }
  assert {
    condition = alltrue([
      for purpose, config in aws_s3_bucket_lifecycle_configuration.this : alltrue([for rule in config.rule : rule.status == "Enabled"])
      ]) && anytrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this["trail"].rule : try(rule.expiration[0].days, 0) == 2557
    ])
    error_message = "Records must go in the end, and the trail after seven years."
  }
}

run "closes_every_bucket" {
  assert {
    condition = alltrue([
      for block in aws_s3_bucket_public_access_block.this :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ]) && length(aws_s3_bucket_public_access_block.this) == length(aws_s3_bucket.this)
    error_message = "Public access to every bucket must be blocked, in all four ways."
  }
  assert {
    condition = alltrue([
      for policy in aws_s3_bucket_policy.this : anytrue([
        for statement in jsondecode(policy.policy).Statement :
        statement.Effect == "Deny" && statement.Action == "s3:*" && statement.Principal == "*" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
      ])
    ])
    error_message = "Every bucket's policy must deny what does not come over TLS."
  }
  assert {
    condition     = alltrue([for controls in aws_s3_bucket_ownership_controls.this : one(controls.rule).object_ownership == "BucketOwnerEnforced"])
    error_message = "No object may have an owner or an ACL of its own."
  }
  assert {
    condition     = alltrue([for purpose in ["trail", "athena"] : aws_s3_bucket_logging.this[purpose].target_bucket == aws_s3_bucket.this["access-logs"].id])
    error_message = "Reading the records must be recorded too."
  }
}

run "takes_access_logs_from_its_own_buckets_only" {
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this["access-logs"].rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "S3 does not deliver access logs to a bucket that is encrypted with KMS: they would be lost without a word."
  }
  assert {
    condition     = !aws_s3_bucket.this["access-logs"].object_lock_enabled
    error_message = "S3 does not deliver access logs to a bucket with a default lock."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["access-logs"].policy).Statement :
      statement.Effect == "Deny" || (
        try(statement.Principal.Service, "") == "logging.s3.amazonaws.com" &&
        try(statement.Condition.StringEquals["aws:SourceAccount"], "") == "123456789012" &&
        toset(try(statement.Condition.ArnLike["aws:SourceArn"], [])) == toset([
          "arn:aws:s3:::lockstep-intake-123456789012", "arn:aws:s3:::lockstep-work-123456789012", "arn:aws:s3:::lockstep-evidence-123456789012",
          "arn:aws:s3:::lockstep-trail-123456789012", "arn:aws:s3:::lockstep-athena-123456789012",
        ])
      )
    ])
    error_message = "Only S3 may write access logs, of this account's own buckets."
  }
}

run "watches_for_intruders" {
  assert {
    condition     = aws_guardduty_detector.this[0].enable && aws_guardduty_detector_feature.this["S3_DATA_EVENTS"].status == "ENABLED"
    error_message = "GuardDuty must watch, S3 included."
  }
  assert {
    condition     = aws_cloudwatch_event_target.findings.arn == "arn:aws:sns:us-east-1:123456789012:lockstep-alarms" && jsondecode(aws_cloudwatch_event_rule.findings.event_pattern).detail.severity[0].numeric == [">=", 4]
    error_message = "Somebody must be told of what GuardDuty finds."
  }
}

run "reads_what_was_recorded_without_crawling" {
  assert {
    condition     = toset(keys(aws_glue_catalog_table.this)) == toset(["trail", "access_logs", "evidence"])
    error_message = "There must be tables of the trail, of access logs and of evidence."
  }
  assert {
    condition = alltrue([
      for name in ["trail", "access_logs"] :
      aws_glue_catalog_table.this[name].parameters["projection.enabled"] == "true" &&
      alltrue([for key in aws_glue_catalog_table.this[name].partition_keys : strcontains(aws_glue_catalog_table.this[name].parameters["storage.location.template"], "$${${key.name}}")])
    ])
    error_message = "Partitions must be computed, each from its column."
  }
  assert {
    condition = (
      aws_glue_catalog_table.this["trail"].parameters["storage.location.template"] == "s3://lockstep-trail-123456789012/AWSLogs/123456789012/CloudTrail/$${region}/$${day}" &&
      aws_glue_catalog_table.this["access_logs"].parameters["storage.location.template"] == "s3://lockstep-access-logs-123456789012/s3/123456789012/us-east-1/$${bucket}/$${day}"
    )
    error_message = "Tables must look where CloudTrail and S3 write."
  }
  assert {
    condition     = alltrue([for logging in aws_s3_bucket_logging.this : logging.target_prefix == "s3/" && logging.target_object_key_format[0].partitioned_prefix[0].partition_date_source == "EventTime"])
    error_message = "Access logs must lie by bucket and day of the request."
  }
  assert {
    # One line of S3's documentation, and the newest fields missing.
    condition = alltrue([
      for line in [
        "79a59df900b949e5 lockstep-evidence-123456789012 [06/Feb/2026:00:00:38 +0000] 192.0.2.3 arn:aws:sts::123456789012:assumed-role/auditor/x 3E57427F3EXAMPLE REST.GET.OBJECT runs/ab/record.json \"GET /runs/ab/record.json HTTP/1.1\" 200 - 113 113 7 5 \"-\" \"S3Console/0.4\" v1 s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader example.s3.us-east-1.amazonaws.com TLSV1.2 - -",
        "79a59df900b949e5 lockstep-evidence-123456789012 [06/Feb/2026:00:00:38 +0000] 192.0.2.3 - 3E57427F3EXAMPLE REST.GET.OBJECT runs/ab/record.json \"GET /runs/ab/record.json HTTP/1.1\" 403 AccessDenied 243 - 7 - \"-\" \"curl\" -",
      ] : length(regex(aws_glue_catalog_table.this["access_logs"].storage_descriptor[0].ser_de_info[0].parameters["input.regex"], line)) == length(aws_glue_catalog_table.this["access_logs"].storage_descriptor[0].columns)
    ])
    error_message = "The table must read S3's lines, a group of the expression for each column."
  }
}

run "answers_an_auditor_within_limits" {
  assert {
    condition = (
      one(aws_athena_workgroup.audit.configuration).enforce_workgroup_configuration &&
      one(aws_athena_workgroup.audit.configuration).bytes_scanned_cutoff_per_query == 107374182400 &&
      one(one(one(aws_athena_workgroup.audit.configuration).result_configuration).encryption_configuration).encryption_option == "SSE_KMS"
    )
    error_message = "Results must be encrypted and a query must end, whatever whoever asks has set."
  }
  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this["athena"].rule : rule.expiration[0].days == 30 && rule.noncurrent_version_expiration[0].noncurrent_days == 1
    ])
    error_message = "Results are copies of what is guarded: they must go."
  }
  assert {
    condition = toset(keys(aws_athena_named_query.this)) == toset([
      "who approved", "who submitted and approved each run", "verdicts of each run", "cost of jobs by month", "who read or wrote evidence",
      "who signed with which key", "denied calls", "changes to policy", "deletes tried", "sign-ins and root",
      "changes to models and endpoints by others", "who listed or fetched, by S3's own log",
    ])
    error_message = "The questions of an audit must be saved."
  }
  assert {
    condition     = strcontains(aws_athena_named_query.this["changes to models and endpoints by others"].query, "'arn:aws:iam::123456789012:role/lockstep-deploy-endpoint'")
    error_message = "Lockstep's own changes must be left out, by the whole ARN of its roles."
  }
  assert {
    condition = alltrue([
      for question, query in aws_athena_named_query.this :
      length(regexall("FROM evidence", query.query)) == 1 || length(regexall("day >= date_format\\(current_date - interval '30' day, '%Y/%m/%d'\\)", query.query)) == 1
    ])
    error_message = "Every question of a log must say which days: without, it reads years."
  }
}

run "sends_nothing_anywhere_unless_told" {
  assert {
    condition     = length(aws_kinesis_firehose_delivery_stream.siem) == 0 && length(aws_cloudwatch_log_subscription_filter.siem) == 0 && length(aws_cloudwatch_event_rule.siem) == 0 && toset(keys(aws_iam_role.this)) == toset(["trail"])
    error_message = "Without a SIEM nothing may be exported, and no role may be able to."
  }
}

run "lets_cloudtrail_write_its_own_stream_only" {
  assert {
    condition = jsondecode(aws_iam_role_policy.this["trail"].policy).Statement == [{
      Sid      = "WriteTheTrailsStream"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/cloudtrail/lockstep-trail:log-stream:123456789012_CloudTrail_us-east-1*"
    }]
    error_message = "CloudTrail's role must write its stream, and do nothing else."
  }
  assert {
    condition     = jsondecode(aws_iam_role.this["trail"].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceArn"] == "arn:aws:cloudtrail:us-east-1:123456789012:trail/lockstep-trail"
    error_message = "CloudTrail must not be talked into writing there for another trail."
  }
}

run "sends_logs_findings_and_verdicts_to_a_siem_over_https" {
  variables {
    siem = {
      kind           = "http"
      url            = "https://siem.example.com/ingest"
      secret_arn     = "arn:aws:secretsmanager:us-east-1:123456789012:secret:siem-abcdef"
      secret_key_arn = "arn:aws:kms:us-east-1:123456789012:key/44444444-4444-4444-8444-444444444444"
    }
    siem_log_groups = { flow = "/aws/vpc/lockstep-flow", pipeline = "/aws/vendedlogs/states/lockstep-pipeline" }
  }

  assert {
    condition = alltrue([
      for stream in aws_kinesis_firehose_delivery_stream.siem :
      stream.destination == "http_endpoint" && one(stream.server_side_encryption).key_type == "CUSTOMER_MANAGED_CMK" &&
      one(stream.http_endpoint_configuration).s3_backup_mode == "FailedDataOnly"
    ]) && length(aws_kinesis_firehose_delivery_stream.siem) == 2
    error_message = "Both streams must be encrypted and keep what could not be delivered."
  }
  assert {
    condition = alltrue([
      for stream in aws_kinesis_firehose_delivery_stream.siem :
      one(stream.http_endpoint_configuration).access_key == null &&
      one(one(stream.http_endpoint_configuration).secrets_manager_configuration).secret_arn == "arn:aws:secretsmanager:us-east-1:123456789012:secret:siem-abcdef"
    ])
    error_message = "The SIEM's key must be named, never held."
  }
  assert {
    condition     = toset([for filter in aws_cloudwatch_log_subscription_filter.siem : filter.filter_pattern]) == toset([""]) && toset(keys(aws_cloudwatch_log_subscription_filter.siem)) == toset(["trail", "flow", "pipeline"])
    error_message = "The trail and every named log group must be exported whole."
  }
  assert {
    condition = toset(flatten([for part in jsondecode(aws_cloudwatch_event_rule.siem[0].event_pattern)["$or"] : part.detail-type])) == toset([
      "GuardDuty Finding", "Inspector2 Finding", "ECR Image Scan", "Access Analyzer Finding", "Step Functions Execution Status Change",
      "SageMaker Model Package State Change", "SageMaker Endpoint State Change",
    ])
    error_message = "Findings and verdicts must be exported."
  }
  assert {
    condition = alltrue(flatten([
      for role, policy in aws_iam_role_policy.this : [
        for statement in jsondecode(policy.policy).Statement : [
          for resource in flatten([statement.Resource]) : !contains(["*", ""], resource) && !strcontains(resource, "mocked")
        ]
      ]
    ]))
    error_message = "Every role must name what it may touch."
  }
  assert {
    condition = (
      jsondecode(aws_iam_role.this["siem-events"].assume_role_policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == "arn:aws:events:us-east-1:123456789012:rule/lockstep-siem" &&
      toset(jsondecode(aws_iam_role.this["siem-logs"].assume_role_policy).Statement[0].Condition.ArnLike["aws:SourceArn"]) == toset([
        "arn:aws:logs:us-east-1:123456789012:log-group:/aws/cloudtrail/lockstep-trail:*",
        "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vpc/lockstep-flow:*",
        "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vendedlogs/states/lockstep-pipeline:*",
      ])
    )
    error_message = "A service must carry this deployment's records alone."
  }
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.this["siem-deliver"].policy).Statement : statement.Resource if contains(flatten([statement.Action]), "secretsmanager:GetSecretValue")
    ]) == "arn:aws:secretsmanager:us-east-1:123456789012:secret:siem-abcdef"
    error_message = "Firehose must read the SIEM's key, and no other secret."
  }
  assert {
    condition     = toset([for alarm in aws_cloudwatch_metric_alarm.siem : alarm.metric_name]) == toset(["DeliveryToHttpEndpoint.DataFreshness"]) && length(aws_cloudwatch_metric_alarm.siem) == 2
    error_message = "Somebody must be told when the SIEM hears nothing."
  }
  assert {
    condition     = contains(keys(aws_s3_bucket.this), "siem-backup") && contains(keys(aws_s3_bucket_logging.this), "siem-backup")
    error_message = "What could not be delivered must lie in a bucket of its own, and be watched."
  }
}

run "sends_the_same_to_a_log_archive" {
  variables {
    siem = {
      kind       = "bucket"
      bucket_arn = "arn:aws:s3:::archive-of-the-organization"
      key_arn    = "arn:aws:kms:us-east-1:999999999999:key/55555555-5555-4555-8555-555555555555"
    }
  }

  assert {
    condition = alltrue([
      for stream in aws_kinesis_firehose_delivery_stream.siem :
      stream.destination == "extended_s3" && one(stream.extended_s3_configuration).kms_key_arn == "arn:aws:kms:us-east-1:999999999999:key/55555555-5555-4555-8555-555555555555" &&
      one(stream.extended_s3_configuration).s3_backup_mode == "Enabled"
    ])
    error_message = "What goes to an archive must be encrypted with the archive's key, and be kept here for a while."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.this["siem-deliver"].policy).Statement : statement.Resource if contains(flatten([statement.Action]), "s3:PutObject")
    ])) == toset(["arn:aws:s3:::archive-of-the-organization/*", "arn:aws:s3:::lockstep-siem-backup-123456789012/*"])
    error_message = "Firehose must write to the archive and the backup, and nowhere else."
  }
  assert {
    condition     = !anytrue([for statement in jsondecode(aws_iam_role_policy.this["siem-deliver"].policy).Statement : startswith(flatten([statement.Action])[0], "secretsmanager:")])
    error_message = "Without a secret none may be read."
  }
}

run "reads_flow_logs_where_there_are_some" {
  variables {
    flow_logs     = { bucket = "flow-logs-123456789012", prefix = "vpc/" }
    query_regions = ["us-east-1", "eu-west-1"]
  }

  assert {
    condition     = aws_glue_catalog_table.this["flow_logs"].parameters["storage.location.template"] == "s3://flow-logs-123456789012/vpc/AWSLogs/123456789012/vpcflowlogs/$${region}/$${day}" && length(aws_glue_catalog_table.this["flow_logs"].storage_descriptor[0].columns) == 14
    error_message = "Flow logs must be read where EC2 writes them, in the default format's fourteen fields."
  }
  assert {
    condition     = aws_glue_catalog_table.this["trail"].parameters["projection.region.values"] == "us-east-1,eu-west-1" && contains(keys(aws_athena_named_query.this), "refused connections")
    error_message = "Every region that is asked for must be read."
  }
}

run "can_be_emptied_where_that_is_wanted" {
  variables {
    force_destroy = true
  }

  assert {
    condition     = alltrue([for policy in aws_s3_bucket_policy.this : !strcontains(policy.policy, "NeverDelete")])
    error_message = "An environment that may be destroyed must be able to empty its buckets."
  }
}

run "leaves_the_detector_to_an_organization" {
  variables {
    guardduty = { detector = false }
  }

  assert {
    condition     = length(aws_guardduty_detector.this) == 0 && length(aws_guardduty_detector_feature.this) == 0 && aws_cloudwatch_event_rule.findings.name == "lockstep-guardduty"
    error_message = "A detector that is there already must not be made again, and its findings must be notified all the same."
  }
}

run "refuses_a_siem_without_tls" {
  command = plan

  variables {
    siem = { kind = "http", url = "http://siem.example.com", secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:siem-abcdef" }
  }

  expect_failures = [var.siem]
}

run "refuses_the_siems_key_itself" {
  command = plan

  variables {
    siem = { kind = "http", url = "https://siem.example.com", secret_arn = "the-key-itself" }
  }

  expect_failures = [var.siem]
}

run "refuses_an_archive_without_a_key" {
  command = plan

  variables {
    siem = { kind = "bucket", bucket_arn = "arn:aws:s3:::archive" }
  }

  expect_failures = [var.siem]
}

run "refuses_a_kind_of_siem_that_it_does_not_know" {
  command = plan

  variables {
    siem = { kind = "syslog" }
  }

  expect_failures = [var.siem]
}

run "refuses_to_keep_a_record_waiting_for_long" {
  command = plan

  variables {
    siem = { kind = "bucket", bucket_arn = "arn:aws:s3:::archive", key_arn = "arn:aws:kms:us-east-1:999999999999:key/5", buffer_seconds = 3600 }
  }

  expect_failures = [var.siem]
}

run "refuses_a_trail_that_is_not_locked" {
  command = plan

  variables {
    trail = { locked_days = 0 }
  }

  expect_failures = [var.trail]
}

run "refuses_a_lock_that_does_not_exist" {
  command = plan

  variables {
    trail = { lock_mode = "NONE" }
  }

  expect_failures = [var.trail]
}

run "refuses_to_delete_what_is_still_locked" {
  command = plan

  variables {
    trail = { locked_days = 3000 }
  }

  expect_failures = [var.trail]
}

run "refuses_an_insight_that_does_not_exist" {
  command = plan

  variables {
    trail = { insights = ["Everything"] }
  }

  expect_failures = [var.trail]
}

run "refuses_guardduty_without_s3" {
  command = plan

  variables {
    guardduty = { features = ["LAMBDA_NETWORK_LOGS"] }
  }

  expect_failures = [var.guardduty]
}

run "refuses_to_keep_high_findings_quiet" {
  command = plan

  variables {
    guardduty = { min_severity = 9 }
  }

  expect_failures = [var.guardduty]
}

run "refuses_to_forget_access_logs_within_weeks" {
  command = plan

  variables {
    access_log_days = 7
  }

  expect_failures = [var.access_log_days]
}

run "refuses_roles_by_arn" {
  command = plan

  variables {
    known_roles = ["arn:aws:iam::123456789012:role/lockstep-seal-run"]
  }

  expect_failures = [var.known_roles]
}

run "refuses_what_makes_no_sense" {
  command = plan

  variables {
    name               = "L"
    topic_arn          = "nobody"
    state_machine_arn  = "pipeline"
    log_retention_days = 0
    query_regions      = ["everywhere"]
    flow_logs          = { bucket = "flow-logs", prefix = "vpc" }
    athena             = { max_bytes = 1, result_days = 0 }
  }

  expect_failures = [
    var.name, var.topic_arn, var.state_machine_arn, var.log_retention_days, var.query_regions, var.flow_logs, var.athena,
  ]
}
