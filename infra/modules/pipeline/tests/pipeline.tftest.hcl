# What must hold of the plan whatever the account: run with `terraform test`, no account needed.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "123456789012"
      arn        = "arn:aws:iam::123456789012:role/deployer"
    }
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
  mock_data "aws_iam_session_context" {
    defaults = { issuer_arn = "arn:aws:iam::123456789012:role/deployer" }
  }
  mock_data "aws_kms_public_key" {
    defaults = { public_key = "cHVibGlj" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mocked" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:us-east-1:123456789012:lockstep-dead-letters" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:lockstep/hub-token-abcdef" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mocked" }
  }
  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:us-east-1:123456789012:stateMachine:lockstep-pipeline" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:123456789012:lockstep-notifications" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:us-east-1:123456789012:rule/mocked" }
  }
  mock_resource "aws_s3_object" {
    defaults = { version_id = "v1" }
  }
}

# Another ARN than every other key's, so that a grant on the wrong one shows.
override_resource {
  target = aws_kms_key.checkpoint
  values = { arn = "arn:aws:kms:us-east-1:123456789012:key/22222222-2222-4222-8222-222222222222" }
}

# As an environment on AWS sets it: the controls judge what these make.
variables {
  zips_dir                = "./tests/zips"
  definition_path         = "../../../statemachine/pipeline.asl.json"
  policy_path             = "./tests/policy.json"
  subnet_ids              = ["subnet-1", "subnet-2"]
  security_group_ids      = ["sg-1"]
  evidence_retention_days = 30
  hub_token               = "hf_a_planted_canary"
  endpoint_names          = ["tiny-lm"]
  function_network        = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-functions"] }
  access_log_bucket       = "lockstep-access-logs-123456789012"
  forgetters              = ["arn:aws:iam::123456789012:user/joan"]
  replication             = { bucket_arns = { evidence = "arn:aws:s3:::elsewhere" }, kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1" }
  schedules = {
    weekly = { expression = "rate(7 days)", request_uri = "s3://lockstep-intake-123456789012/requests/AIDA/weekly.json" }
  }
}

run "encrypts_and_keeps" {
  assert {
    condition     = aws_kms_key.data.enable_key_rotation
    error_message = "The data key must rotate."
  }
  assert {
    condition     = alltrue([for config in aws_s3_bucket_server_side_encryption_configuration.this : one(one(config.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"])
    error_message = "Every bucket must be encrypted with KMS."
  }
  assert {
    condition     = length(aws_s3_bucket.this) == 3 && alltrue([for config in aws_s3_bucket_versioning.this : one(config.versioning_configuration).status == "Enabled"])
    error_message = "There must be three buckets, all versioned."
  }
  assert {
    condition = alltrue([
      for block in aws_s3_bucket_public_access_block.this :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ])
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
    condition     = aws_s3_bucket.this["evidence"].object_lock_enabled && one(one(aws_s3_bucket_object_lock_configuration.evidence.rule).default_retention).mode == "GOVERNANCE"
    error_message = "Evidence must be locked."
  }
  assert {
    condition = length(aws_s3_bucket_lifecycle_configuration.this) == 3 && alltrue([
      for config in aws_s3_bucket_lifecycle_configuration.this : anytrue([
        for rule in config.rule :
        rule.id == "abort-incomplete-uploads" && rule.status == "Enabled" && try(rule.abort_incomplete_multipart_upload[0].days_after_initiation, 0) == 7
      ])
    ])
    error_message = "In every bucket, without being asked for, uploads that were never finished must be dropped after a week."
  }
  assert {
    condition = toset(flatten([
      for purpose, config in aws_s3_bucket_lifecycle_configuration.this : [
        for rule in config.rule : "${purpose} ${rule.filter[0].prefix}" if length(rule.noncurrent_version_expiration) > 0 || length(rule.expiration) > 0
      ]
      ])) == toset([
      "intake promotions/", "intake requests/", "work baselines/", "work capture/", "work checkpoints/", "work datasets/", "work drift/", "work labels/", "work runs/",
    ])
    error_message = "Nothing else may expire: no model, no artifact, no evidence."
  }
  assert {
    condition     = one(aws_dynamodb_table.coordination.server_side_encryption).enabled && one(aws_dynamodb_table.coordination.point_in_time_recovery).enabled && one(aws_dynamodb_table.coordination.ttl).enabled
    error_message = "The coordination table must be encrypted, recoverable, and forget what has expired."
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.function : group.retention_in_days == 90 && group.kms_key_id == aws_kms_key.data.arn])
    error_message = "Logs must be encrypted and kept for 90 days."
  }
  assert {
    condition     = aws_sns_topic.notifications.kms_master_key_id == aws_kms_key.data.arn
    error_message = "The topic must be encrypted."
  }
}

run "signs_with_one_key_a_function" {
  assert {
    condition = toset(keys(aws_kms_key.signing)) == toset([
      "admit-run", "approve-package", "deploy-endpoint", "download-model", "evaluate-model", "launch-training", "respond-incident", "scan-gate", "seal-artifact", "seal-run",
    ])
    error_message = "The nine attesting functions must have one signing key each."
  }
  assert {
    condition     = alltrue([for key in aws_kms_key.signing : key.customer_master_key_spec == "ECC_NIST_P256" && key.key_usage == "SIGN_VERIFY"])
    error_message = "Signing keys must be P-256 and must only sign."
  }
  assert {
    condition = alltrue([
      for verb, policy in aws_kms_key_policy.signing : alltrue([
        for statement in jsondecode(policy.policy).Statement :
        statement.Effect == "Deny" || !contains(flatten([statement.Action]), "kms:Sign") || contains(try(statement.Condition.ArnLike["aws:PrincipalArn"], []), "arn:aws:iam::123456789012:role/lockstep-${verb}")
      ])
    ])
    error_message = "A signing key must sign for its own function's role only."
  }
  assert {
    condition = alltrue([
      for policy in aws_kms_key_policy.signing :
      !anytrue([for statement in jsondecode(policy.policy).Statement : contains(flatten([statement.Action]), "kms:*") && statement.Effect == "Allow"])
    ])
    error_message = "Nobody may do everything with a signing key: that would include signing."
  }
  assert {
    condition     = toset(jsondecode(aws_s3_object.trust_root.content).keys[*].function) == setunion(keys(aws_kms_key.signing), ["forget"])
    error_message = "The trust root must hold the nine public keys."
  }
  assert {
    condition     = jsondecode(aws_s3_object.trust_root.content).promotes_from == []
    error_message = "Without a word, no other account's runs may be promoted."
  }
  assert {
    condition     = toset([for verb, function in aws_lambda_function.this : verb if contains(keys(one(function.environment).variables), "LOCKSTEP_TRUST_ROOT_SHA256")]) == toset(["deploy-endpoint", "launch-training", "respond-incident"])
    error_message = "Only those who verify may be told the trust root: before deployment, before a rollback, and when a run is promoted."
  }
}

run "authenticates_checkpoints_with_a_key_of_their_own" {
  assert {
    condition     = aws_kms_key.checkpoint.customer_master_key_spec == "HMAC_256" && aws_kms_key.checkpoint.key_usage == "GENERATE_VERIFY_MAC"
    error_message = "The checkpoint key must be an HMAC key, and do nothing else."
  }
  assert {
    condition = toset(flatten([
      for verb, policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : [
          for resource in flatten([statement.Resource]) : "${verb} on ${resource}"
        ] if contains(flatten([statement.Action]), "kms:GenerateMac")
      ]
      ])) == toset([
      "download-model on ${aws_kms_key.checkpoint.arn}",
      "seal-artifact on ${aws_kms_key.checkpoint.arn}",
    ])
    error_message = "Only the two functions that transfer files may derive the checkpoints' key, and with that key alone."
  }
  assert {
    # Nobody needs VerifyMac: what was derived is compared where it was derived.
    condition = alltrue([
      for statement in jsondecode(aws_kms_key_policy.checkpoint.policy).Statement :
      statement.Effect == "Deny" || alltrue([
        for action in flatten([statement.Action]) : !contains(["kms:*", "kms:GenerateMac", "kms:VerifyMac", "kms:CreateGrant"], action)
        ]) || (statement.Action == "kms:GenerateMac" && toset(try(statement.Condition.ArnLike["aws:PrincipalArn"], [])) == toset([
          "arn:aws:iam::123456789012:role/lockstep-download-model", "arn:aws:sts::123456789012:assumed-role/lockstep-download-model/*",
          "arn:aws:iam::123456789012:role/lockstep-seal-artifact", "arn:aws:sts::123456789012:assumed-role/lockstep-seal-artifact/*",
      ]))
    ])
    error_message = "The checkpoint key's own policy must let the two functions' roles derive with it, and nobody else."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_kms_key_policy.checkpoint.policy).Statement :
      statement.Effect == "Deny" && statement.Principal == "*" && contains(flatten([statement.Action]), "kms:GenerateMac")
    ])
    error_message = "The checkpoint key's own policy must deny everybody else, whatever is granted elsewhere."
  }
  assert {
    condition = toset([
      for verb, function in aws_lambda_function.this : verb if try(one(function.environment).variables["LOCKSTEP_CHECKPOINT_KEY"], "") == aws_kms_key.checkpoint.arn
    ]) == toset(["download-model", "seal-artifact"])
    error_message = "The two functions that transfer files must be told the checkpoint key."
  }
}

run "ends_transfers_without_writing_what_they_would_have" {
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["seal-run"].policy).Statement : [
        for pair in setproduct(flatten([statement.Action]), flatten([statement.Resource])) : join(" ", pair) if startswith(pair[1], "arn:aws:s3:::lockstep-work-")
      ]
      ])) == toset([
      "s3:AbortMultipartUpload arn:aws:s3:::lockstep-work-123456789012/artifacts/*",
      "s3:AbortMultipartUpload arn:aws:s3:::lockstep-work-123456789012/models/*",
      "s3:GetObject arn:aws:s3:::lockstep-work-123456789012/runs/*/transfer/*",
      "s3:ListBucket arn:aws:s3:::lockstep-work-123456789012",
      "s3:ListBucketMultipartUploads arn:aws:s3:::lockstep-work-123456789012",
      "s3:PutObject arn:aws:s3:::lockstep-work-123456789012/runs/*/transfer/*",
    ])
    error_message = "seal-run must be able to end transfers and abort their uploads, and to do nothing else in the work bucket."
  }
  assert {
    condition = toset(flatten([
      for verb, policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : [
          for resource in flatten([statement.Resource]) : "${verb} ${resource}"
          if startswith(resource, "arn:aws:s3:::lockstep-work-123456789012/models/") || startswith(resource, "arn:aws:s3:::lockstep-work-123456789012/artifacts/")
        ] if contains(flatten([statement.Action]), "s3:PutObject")
      ]
      ])) == toset([
      "download-model arn:aws:s3:::lockstep-work-123456789012/models/*",
      "seal-artifact arn:aws:s3:::lockstep-work-123456789012/artifacts/*",
    ])
    error_message = "Models may be written by download-model only, and artifacts by seal-artifact only."
  }
  assert {
    condition = toset(flatten([
      for verb, policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : verb if contains(flatten([statement.Action]), "s3:ListBucketMultipartUploads")
      ]
    ])) == toset(["download-model", "seal-artifact", "seal-run"])
    error_message = "Only who ends uploads may list those that are open."
  }
  assert {
    # A denial of abort would leave an aborted run's parts; of parts without the header, no upload could be made.
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["work"].policy).Statement :
      statement.Effect == "Deny" && !contains(flatten([statement.Action]), "s3:AbortMultipartUpload") && (
        !can(statement.Condition.Null["s3:if-none-match"]) || try(statement.Condition.Bool["s3:ObjectCreationOperation"], "") == "true"
      )
    ])
    error_message = "The work bucket must leave uploads their parts, which cannot carry `If-None-Match`, and their end."
  }
}

run "transfers_with_a_whole_processor" {
  assert {
    condition     = alltrue([for verb in ["download-model", "seal-artifact"] : aws_lambda_function.this[verb].memory_size >= 1769])
    error_message = "Lambda gives a whole processor from 1,769 MB on; hashing needs one."
  }
}

run "grants_no_more_than_named" {
  assert {
    condition     = length(aws_iam_role.function) == 12 && length(distinct([for role in aws_iam_role.function : role.name])) == 12
    error_message = "Each of the twelve functions must have a role of its own."
  }
  assert {
    # Action by action, so that a new one without a resource has to be argued for.
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_role_policy.function), values(aws_iam_role_policy.service)) : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in flatten([statement.Action]) : contains([
            "cloudwatch:PutMetricData",
            "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
            "ecr:GetAuthorizationToken",
            "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
            "sagemaker:ListArtifacts",
            "states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess",
            "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
          ], action)
        ] if statement.Effect == "Allow" && contains(flatten([statement.Resource]), "*")
      ]
    ]))
    error_message = "A statement may reach every resource only for actions that know none."
  }
  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_role_policy.function), values(aws_iam_role_policy.service)) : [
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]
      ]
    ]))
    error_message = "Actions must be named one by one."
  }
  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_role_policy.function), values(aws_iam_role_policy.service)) : [
        for statement in jsondecode(policy.policy).Statement :
        try(statement.Condition.StringEquals["iam:PassedToService"], "") == "sagemaker.amazonaws.com" if contains(flatten([statement.Action]), "iam:PassRole")
      ]
    ]))
    error_message = "A role may be passed to SageMaker only."
  }
  assert {
    condition = toset(flatten([
      for verb, policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : "${verb} passes ${statement.Resource}" if contains(flatten([statement.Action]), "iam:PassRole")
      ]
      ])) == toset([
      "deploy-endpoint passes arn:aws:iam::123456789012:role/lockstep-endpoint",
      "evaluate-model passes arn:aws:iam::123456789012:role/lockstep-job",
      "launch-training passes arn:aws:iam::123456789012:role/lockstep-job",
    ])
    error_message = "Jobs must run as the job's role, and endpoints as the endpoint's."
  }
  assert {
    condition = toset(flatten([
      for verb, policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : verb if contains(flatten([statement.Action]), "secretsmanager:GetSecretValue")
      ]
    ])) == toset(["download-model"])
    error_message = "Only download-model may read the Hub's token."
  }
  assert {
    condition = alltrue(flatten([
      for verb, policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : [
          for resource in flatten([statement.Resource]) :
          contains(
            lookup({
              seal-run         = ["runs/*/${verb}/*", "runs/*/record.json"]
              respond-incident = ["incidents/*", "revoked/*"]
            }, verb, ["runs/*/${verb}/*"]),
            trimprefix(resource, "arn:aws:s3:::lockstep-evidence-123456789012/"),
          )
          if startswith(resource, "arn:aws:s3:::lockstep-evidence-")
        ] if contains(flatten([statement.Action]), "s3:PutObject")
      ]
    ]))
    error_message = "A function may write its own evidence only."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.service : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"])
    error_message = "A service may take on a role for this account only."
  }
}

run "builds_walls_between_buckets" {
  assert {
    condition = length([
      for statement in jsondecode(aws_s3_bucket_policy.this["evidence"].policy).Statement : statement
      if contains(["WriteEvidenceOnce", "NeverDeleteEvidence"], statement.Sid) && statement.Effect == "Deny" && statement.Principal == "*"
    ]) == 2
    error_message = "Evidence must be written once and deleted by nobody."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["work"].policy).Statement :
      statement.Effect == "Deny" && try(statement.Condition.Null["s3:if-none-match"], "") == "true" && toset(flatten([try(statement.Resource, [])])) == toset([
        "arn:aws:s3:::lockstep-work-123456789012/artifacts/*", "arn:aws:s3:::lockstep-work-123456789012/models/*",
      ])
    ])
    error_message = "Models and artifacts must be written once."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["work"].policy).Statement :
      statement.Effect == "Deny" && !can(statement.Condition) && contains(flatten([statement.Action]), "s3:DeleteObjectVersion") && contains(flatten([try(statement.Resource, [])]), "arn:aws:s3:::lockstep-work-123456789012/models/*")
    ])
    error_message = "Nobody may delete a model."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["intake"].policy).Statement :
      statement.Effect == "Deny" && toset(flatten([try(statement.NotResource, [])])) == toset([
        "arn:aws:s3:::lockstep-intake-123456789012/promotions/$${aws:userid}/*", "arn:aws:s3:::lockstep-intake-123456789012/requests/$${aws:userid}/*",
      ])
    ])
    error_message = "A request's prefix must be its submitter's id."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["work"].policy).Statement :
      statement.Effect == "Deny" && try(statement.Condition.StringNotLike["aws:userid"], []) == ["AIDASTEWARD"] && try(statement.Resource, []) == ["arn:aws:s3:::lockstep-work-123456789012/datasets/evaluation/*"]
    ])
    error_message = "Only those whom the policy names may write evaluation data."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["work"].policy).Statement :
      statement.Effect == "Deny" && try(join(",", keys(statement.Condition)), "") == "ArnNotLike" && try(statement.Resource, "") == "arn:aws:s3:::lockstep-work-123456789012/labels/*"
    ])
    error_message = "With no writer of labels named, everybody must be denied but who forgets a person."
  }
  assert {
    condition     = aws_s3_bucket_notification.intake.eventbridge
    error_message = "An upload must reach EventBridge."
  }
}

run "lets_those_who_are_named_write_labels" {
  variables {
    label_writers = ["AROALABELS:*"]
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["work"].policy).Statement :
      statement.Effect == "Deny" && try(statement.Condition.StringNotLike["aws:userid"], []) == ["AROALABELS:*"] && try(statement.Resource, "") == "arn:aws:s3:::lockstep-work-123456789012/labels/*"
    ])
    error_message = "Only those who are named may write labels."
  }
}

run "lets_nobody_write_evaluation_data_if_none_is_named" {
  variables {
    policy_path = "../../environments/local/policy.json"
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["work"].policy).Statement :
      statement.Effect == "Deny" && keys(try(statement.Condition, {})) == ["ArnNotLike"] && try(statement.Resource, []) == ["arn:aws:s3:::lockstep-work-123456789012/datasets/evaluation/*"]
    ])
    error_message = "With no writer named, everybody must be denied but who forgets a person."
  }
}

run "runs_and_wakes_the_pipeline" {
  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      function.runtime == "provided.al2023" && function.handler == "bootstrap" && one(function.tracing_config).mode == "Active" && function.kms_key_arn == aws_kms_key.data.arn
    ])
    error_message = "Functions must run the custom runtime, be traced, and have their environment encrypted."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.this : length(jsonencode(one(function.environment).variables)) < 4096])
    error_message = "Lambda takes 4 KB of environment."
  }
  assert {
    condition     = one(aws_sfn_state_machine.pipeline.logging_configuration).level == "ALL" && !one(aws_sfn_state_machine.pipeline.logging_configuration).include_execution_data
    error_message = "The state machine must log, and its log must hold no execution data: task tokens are in it."
  }
  assert {
    condition     = aws_cloudwatch_event_rule.this["sweep"].schedule_expression == "rate(5 minutes)" && alltrue([for function in ["resume-execution", "seal-run"] : aws_cloudwatch_event_target.function["sweep-${function}"].input == "{\"sweep\":true}"])
    error_message = "The sweep must run every five minutes by default, in both functions that sweep."
  }
  assert {
    condition     = strcontains(aws_scheduler_schedule.run["weekly"].target[0].input, "\"time\":\"<aws.scheduler.scheduled-time>\"")
    error_message = "Scheduler must find its placeholder unescaped."
  }
  assert {
    condition     = jsondecode(one(aws_lambda_function.this["admit-run"].environment).variables["LOCKSTEP_ENDPOINTS"]) == { tiny-lm = { alarms = ["lockstep-tiny-lm-5xx", "lockstep-tiny-lm-latency"] } }
    error_message = "Functions must be told each endpoint's alarms."
  }
}

run "sweeps_once_a_minute_at_most" {
  variables {
    sweep_seconds = 5
  }

  assert {
    condition     = aws_cloudwatch_event_rule.this["sweep"].schedule_expression == "rate(1 minute)" && one(aws_lambda_function.this["admit-run"].environment).variables["LOCKSTEP_SWEEP_SECONDS"] == "5"
    error_message = "EventBridge fires once a minute at most, and one minute is written in the singular."
  }
}

run "keeps_unfinished_uploads_if_told_to" {
  variables {
    abort_uploads_after_days = null
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this) == 0
    error_message = "Without a number of days, nothing may be dropped."
  }
}

run "refuses_to_drop_uploads_at_once" {
  command = plan

  variables {
    abort_uploads_after_days = 0
  }

  expect_failures = [var.abort_uploads_after_days]
}

run "refuses_another_endpoint_than_the_policys" {
  command = plan

  variables {
    endpoint_names = ["other"]
  }

  expect_failures = [aws_s3_object.policy]
}

run "refuses_other_writers_than_the_policys" {
  command = plan

  variables {
    evaluation_writers = ["AIDASOMEBODYELSE"]
  }

  expect_failures = [aws_s3_object.policy]
}

run "refuses_a_schedule_outside_the_intake" {
  command = plan

  variables {
    schedules = { bad = { expression = "rate(1 day)", request_uri = "s3://elsewhere/x.json" } }
  }

  expect_failures = [var.schedules]
}

run "keeps_the_token_out_of_plan_and_state" {
  command = plan

  variables {
    hub_token_version = 1
  }

  assert {
    condition     = aws_secretsmanager_secret_version.hub_token[0].secret_string == null && aws_secretsmanager_secret_version.hub_token[0].secret_string_wo == null
    error_message = "The Hub's token must be sent by a write-only argument, which no plan and no state keeps."
  }
}

run "bounds_every_role" {
  command = plan

  assert {
    condition = alltrue([for role in concat(values(aws_iam_role.function), values(aws_iam_role.service)) : role.permissions_boundary != ""]) && anytrue([
      for statement in jsondecode(aws_iam_policy.boundary.policy).Statement :
      statement.Effect == "Deny" && contains(flatten([statement.Action]), "s3:PutBucket*") && contains(flatten([statement.Action]), "s3:BypassGovernanceRetention")
    ])
    error_message = "No role, whatever is attached to it, may change a bucket's walls or bypass retention."
  }
  assert {
    condition = !anytrue([
      for statement in jsondecode(aws_iam_policy.boundary.policy).Statement :
      statement.Effect == "Allow" && anytrue([for action in flatten([statement.Action]) : startswith(action, "iam:") && !contains(["iam:CreateServiceLinkedRole", "iam:PassRole"], action)])
    ])
    error_message = "No role may change who may do what."
  }
}

run "loses_no_event_unseen" {
  command = plan

  assert {
    condition     = length(aws_lambda_function.this["seal-run"].dead_letter_config) == 1 && length(aws_lambda_function.this["resume-execution"].dead_letter_config) == 1
    error_message = "What wakes a function without waiting for it needs a place for what the function could not handle."
  }
  assert {
    condition     = toset(values(aws_lambda_permission.events)[*].function_name) == toset([for verb, function in aws_lambda_function.this : function.function_name if length(function.dead_letter_config) == 1])
    error_message = "Only Step Functions, which waits for the answer, may invoke a function without dead letters."
  }
  assert {
    condition     = alltrue([for target in concat(values(aws_cloudwatch_event_target.function), values(aws_cloudwatch_event_target.pipeline)) : length(target.dead_letter_config) == 1])
    error_message = "Every rule needs a place for what it could not deliver."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.reserved_concurrent_executions >= 1])
    error_message = "No function may take all of the account's invocations."
  }
}

run "stands_where_no_route_leads_out_but_for_what_speaks_to_the_hub" {
  command = plan

  assert {
    condition = alltrue([
      for verb, function in aws_lambda_function.this : length(function.vpc_config) == (verb == "download-model" ? 0 : 1)
    ])
    error_message = "Every function but download-model must be inside the VPC."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.function["admit-run"].policy).Statement :
      statement.Effect == "Deny" && contains(flatten([statement.Action]), "ec2:CreateNetworkInterface") && can(statement.Condition.ArnEquals["lambda:SourceFunctionArn"])
    ])
    error_message = "Lambda may attach a function to its subnets, and the function's own code may not."
  }
}

run "stands_without_a_network_or_a_second_account" {
  command = plan

  variables {
    function_network  = null
    access_log_bucket = null
    replication       = null
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : length(function.vpc_config) == 0]) && length(aws_s3_bucket_logging.this) == 0 && length(aws_iam_role.replication) == 0
    error_message = "Without a network, a place for logs and one for copies, there must be none."
  }
  assert {
    condition = !anytrue(flatten([
      for policy in values(aws_iam_role_policy.function) : [
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : startswith(action, "ec2:")]
      ]
    ]))
    error_message = "A function outside a VPC has nothing to do in one."
  }
}

run "copies_what_serves_and_no_traffic" {
  command = plan

  variables {
    replication = {
      bucket_arns = { evidence = "arn:aws:s3:::copy-of-evidence", work = "arn:aws:s3:::copy-of-work" }
      kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
    }
  }

  assert {
    condition = {
      for purpose, config in aws_s3_bucket_replication_configuration.this : purpose => join(" ", [for rule in config.rule : rule.id])
    } == { evidence = "everything", work = "artifacts baselines datasets" }
    error_message = "Models, what they are graded on, and all evidence must be copied; captured traffic and labels must not."
  }
  assert {
    condition = alltrue(flatten([
      for config in aws_s3_bucket_replication_configuration.this : [
        for rule in config.rule : rule.destination[0].replication_time[0].status == "Enabled" && rule.destination[0].metrics[0].status == "Enabled"
      ]
    ]))
    error_message = "Copies must come within S3's promised time, and be measured."
  }
  assert {
    condition = toset([for alarm in aws_cloudwatch_metric_alarm.replication : "${alarm.metric_name} ${alarm.dimensions["DestinationBucket"]} ${alarm.dimensions["RuleId"]}"]) == toset(flatten([
      for metric in ["OperationsFailedReplication", "ReplicationLatency"] : [
        for rule in ["evidence everything", "work artifacts", "work baselines", "work datasets"] : "${metric} copy-of-${rule}"
      ]
    ]))
    error_message = "Each rule must have an alarm for late copies and one for failed ones."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.replication[0].policy).Statement : alltrue([
        for action in ["s3:GetObjectLegalHold", "s3:GetObjectRetention"] : contains(statement.Action, action)
      ]) if statement.Sid == "ReadWhatIsToBeCopied"
    ])
    error_message = "S3 copies nothing from a bucket with Object Lock without both."
  }
}

run "copies_elsewhere_without_copying_deletions" {
  command = plan

  assert {
    condition     = one(one(aws_s3_bucket_replication_configuration.this["evidence"].rule).delete_marker_replication).status == "Disabled"
    error_message = "Who can delete here must not be able to delete there."
  }
}

run "refuses_a_rotation_that_kms_does_not_know" {
  command = plan

  variables {
    key_rotation_days = 30
  }

  expect_failures = [var.key_rotation_days]
}

run "refuses_a_copy_of_an_unknown_bucket" {
  command = plan

  variables {
    replication = { bucket_arns = { other = "arn:aws:s3:::elsewhere" }, kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1" }
  }

  expect_failures = [var.replication]
}

run "refuses_a_function_that_never_runs" {
  command = plan

  variables {
    reserved_concurrency = { admit-run = 0 }
  }

  expect_failures = [var.reserved_concurrency]
}

run "refuses_to_tell_over_plain_http" {
  command = plan

  variables {
    alert_subscribers = { pager = { protocol = "http", endpoint = "http://pager.example.com" } }
  }

  expect_failures = [var.alert_subscribers]
}

run "promotes_from_whom_it_is_told" {
  command = plan

  variables {
    promotes_from = [{
      schema        = "lockstep/trust-root/v1"
      promotes_from = []
      keys = [{
        keyid           = "arn:aws:kms:us-east-1:210987654321:key/1"
        function        = "seal-run"
        public_key      = "MFkw"
        predicate_types = ["lockstep/record/v1"]
        not_before      = "2026-01-01T00:00:00Z"
      }]
    }]
  }

  assert {
    condition     = length(var.promotes_from) == 1
    error_message = "A trust root as another account's output has it must be taken."
  }
}

run "refuses_a_trust_root_that_is_none" {
  command = plan

  variables {
    promotes_from = [{ schema = "lockstep/trust-root/v1" }]
  }

  expect_failures = [var.promotes_from]
}

run "refuses_to_forget_promotions_at_once" {
  command = plan

  variables {
    forget_promotions_after_days = 0
  }

  expect_failures = [var.forget_promotions_after_days]
}

run "responds_to_incidents" {
  assert {
    condition = toset(keys({ for name, rule in aws_cloudwatch_event_rule.this : name => rule if contains(keys(aws_cloudwatch_event_target.function), "${name}-respond-incident") })) == toset([
      "finding", "incident", "rescan", "settled", "threat", "vulnerability",
    ])
    error_message = "Alarms, findings, threats, endpoints that came to rest and the daily rescan must wake respond-incident, and nothing else."
  }
  assert {
    condition     = aws_lambda_permission.incidents.principal == "events.amazonaws.com" && aws_lambda_permission.incidents.source_arn == "arn:aws:events:us-east-1:123456789012:rule/lockstep-incident-*"
    error_message = "The rules of `access` that tell of intruders must be able to wake respond-incident, and no other account's."
  }
  assert {
    condition     = toset(jsondecode(aws_cloudwatch_event_rule.this["incident"].event_pattern).detail.alarmName) == toset(["lockstep-tiny-lm-5xx", "lockstep-tiny-lm-latency"])
    error_message = "The guardrails' alarms roll back, and no alarm that a caller can cause at will."
  }
  assert {
    condition     = aws_lambda_function.this["respond-incident"].environment[0].variables["LOCKSTEP_INCIDENT_COOLDOWN_SECONDS"] == "3600" && aws_lambda_function.this["respond-incident"].environment[0].variables["LOCKSTEP_RUNBOOKS_URL"] == "docs/runbooks"
    error_message = "An endpoint must be left alone for an hour, and a notification must name a runbook, without being asked for."
  }
  assert {
    condition = toset(flatten([
      for key in jsondecode(aws_s3_object.trust_root.content).keys : key.predicate_types if key.function == "respond-incident"
    ])) == toset(["lockstep/incident/v1", "lockstep/incident-outcome/v1", "lockstep/revocation/v1"])
    error_message = "Who responds to incidents is no gate: it must sign no link."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["evidence"].policy).Statement :
      toset([for resource in flatten([statement.Resource]) : trimprefix(resource, "arn:aws:s3:::lockstep-evidence-123456789012/")]) == toset(["incidents/*", "revoked/*"])
      && statement.Condition.ArnNotLike["aws:PrincipalArn"][0] == "arn:aws:iam::123456789012:role/lockstep-respond-incident"
      if statement.Sid == "WriteRespondIncidentEvidenceAsItself"
    ])
    error_message = "Nobody else may say that something was revoked, or what an incident was."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["evidence"].policy).Statement :
      !contains(statement.Condition.ArnNotLike["aws:PrincipalArn"], "arn:aws:iam::123456789012:role/lockstep-respond-incident")
      if statement.Sid == "WriteEvidenceAsAGateOnly"
    ])
    error_message = "Who responds to incidents must add nothing to a run's evidence."
  }
  assert {
    condition = toset(flatten([
      for verb, policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : verb
        if contains(flatten([statement.Action]), "sagemaker:DeleteEndpoint") && contains(flatten([statement.Resource]), "arn:aws:sagemaker:us-east-1:123456789012:endpoint/tiny-lm")
      ]
    ])) == toset(["respond-incident", "seal-run"])
    error_message = "Only who isolates and who withdraws may delete an endpoint that serves."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.function["deploy-endpoint"].policy).Statement : statement.Resource
      if length(setintersection(flatten([statement.Action]), ["sagemaker:InvokeEndpoint", "sagemaker:DeleteEndpoint"])) > 0
      ])) == toset([
      "arn:aws:sagemaker:us-east-1:123456789012:endpoint/lockstep-*-smoke", "arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/lockstep-*-smoke",
      "arn:aws:sagemaker:us-east-1:123456789012:model/lockstep-*-smoke",
    ])
    error_message = "deploy-endpoint asks and deletes the temporary endpoint of its smoke test, and no other."
  }
}

run "leaves_an_endpoint_alone_long_enough" {
  command = plan

  variables {
    incident_cooldown_seconds = 60
  }

  expect_failures = [var.incident_cooldown_seconds]
}

run "links_runbooks_by_address_alone" {
  command = plan

  variables {
    runbooks_url = "https://runbooks.example.com/lockstep/"
  }

  expect_failures = [var.runbooks_url]
}

run "scales_nothing_unless_told" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for policy in values(aws_iam_role_policy.function) : [
        for statement in jsondecode(policy.policy).Statement : !anytrue([for action in flatten([statement.Action]) : startswith(action, "application-autoscaling:")])
      ]
    ]))
    error_message = "Where no endpoint is scaled, nobody may scale one."
  }
  assert {
    condition     = !can(jsondecode(aws_lambda_function.this["deploy-endpoint"].environment[0].variables["LOCKSTEP_ENDPOINTS"]).tiny-lm.autoscaling)
    error_message = "An endpoint keeps its size unless it is said otherwise."
  }
}

run "scales_the_endpoint_that_it_is_told_to" {
  command = plan

  variables {
    autoscaling = { tiny-lm = { min_capacity = 2, max_capacity = 4, invocations_per_instance = 600, scale_in_cooldown = 300, scale_out_cooldown = 60 } }
  }

  assert {
    condition     = jsondecode(aws_lambda_function.this["deploy-endpoint"].environment[0].variables["LOCKSTEP_ENDPOINTS"])["tiny-lm"].autoscaling.max_capacity == 4
    error_message = "deploy-endpoint must be told what to register."
  }
  assert {
    condition = toset(flatten([
      for verb, policy in aws_iam_role_policy.function : [
        for statement in jsondecode(policy.policy).Statement : verb if contains(flatten([statement.Action]), "application-autoscaling:DeregisterScalableTarget")
      ]
    ])) == toset(["deploy-endpoint", "respond-incident", "seal-run"])
    error_message = "SageMaker deletes a scaled endpoint only for who may take it off autoscaling."
  }
}

run "refuses_to_scale_to_nothing" {
  command = plan

  variables {
    autoscaling = { tiny-lm = { min_capacity = 0, max_capacity = 4, invocations_per_instance = 600, scale_in_cooldown = 300, scale_out_cooldown = 60 } }
  }

  expect_failures = [var.autoscaling]
}

run "refuses_to_scale_backwards" {
  command = plan

  variables {
    autoscaling = { tiny-lm = { min_capacity = 3, max_capacity = 2, invocations_per_instance = 600, scale_in_cooldown = 300, scale_out_cooldown = 60 } }
  }

  expect_failures = [var.autoscaling]
}

run "refuses_half_a_second_of_baking" {
  command = plan

  variables {
    bake_seconds = 0.5
  }

  expect_failures = [var.bake_seconds]
}

run "forgets_what_people_left_former_versions_too" {
  command = plan

  variables {
    retention_days = { capture = 30, labels = 60 }
  }

  assert {
    condition = toset([
      for rule in aws_s3_bucket_lifecycle_configuration.this["work"].rule :
      "${rule.filter[0].prefix} ${join(",", [for expiration in rule.expiration : expiration.days])} ${rule.noncurrent_version_expiration[0].noncurrent_days}"
      if length(rule.noncurrent_version_expiration) > 0
    ]) == toset(["baselines/  30", "capture/ 30 30", "checkpoints/ 7 1", "datasets/ 730 30", "drift/ 400 30", "labels/ 60 30", "runs/ 400 7"])
    error_message = "Each place must expire when it was said, and its former versions must go, too: with versions, expiring alone deletes nothing."
  }
  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.this["intake"].rule : length(rule.expiration) if rule.filter[0].prefix == "requests/"]) == 0
    error_message = "A request that a schedule names must stay."
  }
}

run "refuses_to_keep_for_no_time" {
  command = plan

  variables {
    retention_days = { labels = 0 }
  }

  expect_failures = [var.retention_days]
}

run "refuses_to_forget_a_run_under_way" {
  command = plan

  variables {
    retention_days = { runs = 30 }
  }

  expect_failures = [var.retention_days]
}

run "forgets_as_one_role_only" {
  command = plan

  assert {
    condition     = strcontains(aws_iam_role.forget[0].assume_role_policy, "aws:MultiFactorAuthPresent") && aws_iam_role.forget[0].permissions_boundary != ""
    error_message = "Who deletes people's records must show a second factor, and stay within the boundary."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.forget[0].policy).Statement : alltrue([
        for resource in flatten([statement.Resource]) : can(regex(":s3:::lockstep-(work|intake|evidence)-|:key/", resource)) && !can(regex("/(models|artifacts|functions)/", resource))
      ])
    ])
    error_message = "It may touch the three buckets and its keys, and no model."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.forget[0].policy).Statement : alltrue([
        for resource in flatten([statement.Resource]) : startswith(resource, "arn:aws:s3:::lockstep-evidence-123456789012/forgotten/")
      ]) if contains(flatten([statement.Action]), "s3:PutObject") && statement.Sid != "WriteWhatIsLeft"
      ]) && !anytrue([
      for statement in jsondecode(aws_iam_role_policy.forget[0].policy).Statement : anytrue([
        for resource in flatten([statement.Resource]) : strcontains(resource, "evidence")
      ]) if length(setintersection(flatten([statement.Action]), ["s3:DeleteObject", "s3:DeleteObjectVersion"])) > 0
    ])
    error_message = "In the evidence it must write receipts and nothing else, and delete nothing."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this["evidence"].policy).Statement :
      statement.Sid == "WriteReceiptsAsWhoForgetsOnly" && statement.Effect == "Deny" && try(length(statement.Condition.ArnNotLike["aws:PrincipalArn"]), 0) == 2
    ])
    error_message = "Nobody else may write a receipt."
  }
  assert {
    condition = alltrue([
      for policy in values(aws_kms_key_policy.forget) : anytrue([
        for statement in jsondecode(policy.policy).Statement : statement.Sid == "UseAsNobodyElse" && statement.Effect == "Deny"
      ])
    ]) && aws_kms_key.pseudonym[0].customer_master_key_spec == "HMAC_256"
    error_message = "Nobody else may sign a receipt or make a pseudonym."
  }
  assert {
    condition     = one([for key in jsondecode(local.trust_root).keys : key.predicate_types if key.function == "forget"]) == ["lockstep/forgotten/v1"]
    error_message = "The key of receipts must count for receipts alone."
  }
}

run "has_nobody_forget_unless_told_who" {
  command = plan

  variables {
    forgetters = []
  }

  assert {
    condition     = length(aws_iam_role.forget) == 0 && length(aws_kms_key.forget) == 0 && !strcontains(local.trust_root, "lockstep/forgotten")
    error_message = "Without somebody who may, there must be neither role nor key."
  }
}

run "refuses_anybody_as_one_who_forgets" {
  command = plan

  variables {
    forgetters = ["arn:aws:iam::123456789012:user/*"]
  }

  expect_failures = [var.forgetters]
}
