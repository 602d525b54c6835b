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
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:us-east-1:123456789012:rule/mocked" }
  }
}

override_resource {
  target = aws_iam_policy.boundary
  values = { arn = "arn:aws:iam::123456789012:policy/lockstep-people" }
}

override_resource {
  target = aws_iam_policy.guard["verified"]
  values = { arn = "arn:aws:iam::123456789012:policy/lockstep-guard-verified" }
}

override_resource {
  target = aws_iam_policy.guard["foundations"]
  values = { arn = "arn:aws:iam::123456789012:policy/lockstep-guard-foundations" }
}

variables {
  bucket_arns = {
    intake   = "arn:aws:s3:::lockstep-intake-123456789012"
    work     = "arn:aws:s3:::lockstep-work-123456789012"
    evidence = "arn:aws:s3:::lockstep-evidence-123456789012"
  }
  state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:lockstep-pipeline"
  role_arns = {
    admit-run        = "arn:aws:iam::123456789012:role/lockstep-admit-run"
    approve-package  = "arn:aws:iam::123456789012:role/lockstep-approve-package"
    deploy-endpoint  = "arn:aws:iam::123456789012:role/lockstep-deploy-endpoint"
    download-model   = "arn:aws:iam::123456789012:role/lockstep-download-model"
    evaluate-model   = "arn:aws:iam::123456789012:role/lockstep-evaluate-model"
    launch-training  = "arn:aws:iam::123456789012:role/lockstep-launch-training"
    monitor-drift    = "arn:aws:iam::123456789012:role/lockstep-monitor-drift"
    resume-execution = "arn:aws:iam::123456789012:role/lockstep-resume-execution"
    scan-gate        = "arn:aws:iam::123456789012:role/lockstep-scan-gate"
    seal-artifact    = "arn:aws:iam::123456789012:role/lockstep-seal-artifact"
    respond-incident = "arn:aws:iam::123456789012:role/lockstep-respond-incident"
    seal-run         = "arn:aws:iam::123456789012:role/lockstep-seal-run"
  }
  data_key_arn       = "arn:aws:kms:us-east-1:123456789012:key/00000000-1111-4111-8111-111111111111"
  checkpoint_key_arn = "arn:aws:kms:us-east-1:123456789012:key/22222222-2222-4222-8222-222222222222"
  signing_key_arns = {
    admit-run       = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111101"
    approve-package = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111102"
    deploy-endpoint = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111103"
    download-model  = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111104"
    evaluate-model  = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111105"
    launch-training = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111106"
    scan-gate       = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111107"
    seal-artifact   = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111108"
    seal-run        = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111109"
  }
  topic_arn   = "arn:aws:sns:us-east-1:123456789012:lockstep-notifications"
  runbook_url = "https://example.com/runbooks/incidents"

  teams = {
    research = {
      submitters           = ["arn:aws:iam::123456789012:user/ada"]
      approvers            = ["arn:aws:iam::123456789012:user/grace"]
      scientists           = ["arn:aws:iam::123456789012:user/ada", "arn:aws:iam::123456789012:user/edsger"]
      model_package_groups = ["Tiny-LM"]
    }
    search = {
      submitters           = ["arn:aws:iam::123456789012:user/barbara"]
      approvers            = ["arn:aws:iam::123456789012:user/grace"]
      model_package_groups = ["ranker"]
    }
  }
  operators = ["arn:aws:iam::123456789012:user/ken"]
  auditors  = ["arn:aws:iam::123456789012:user/joan"]

  scheduler_role_arn    = "arn:aws:iam::123456789012:role/lockstep-scheduler"
  rollback_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:lockstep-respond-incident"
  dead_letter_queue_arn = "arn:aws:sqs:us-east-1:123456789012:lockstep-dead-letters"
  mail_domains          = ["example.com"]
  audit = {
    trail_arn             = "arn:aws:cloudtrail:us-east-1:123456789012:trail/lockstep-trail"
    trail_bucket_arn      = "arn:aws:s3:::lockstep-trail-123456789012"
    access_log_bucket_arn = "arn:aws:s3:::lockstep-access-logs-123456789012"
    athena_workgroup      = "lockstep-audit"
    glue_database         = "lockstep_audit"
    results_arn           = "arn:aws:s3:::lockstep-trail-123456789012/athena"
  }
}

run "gives_each_team_roles_of_its_own" {
  assert {
    condition     = toset(keys(aws_iam_role.people)) == toset(["research-submitter", "research-approver", "research-scientist", "search-submitter", "search-approver", "operator", "auditor"])
    error_message = "Each kind that somebody belongs to must have a role, and no other kind."
  }
  assert {
    condition     = alltrue([for key, role in aws_iam_role.people : role.name == "lockstep-${key}" && role.permissions_boundary == "arn:aws:iam::123456789012:policy/lockstep-people" && role.max_session_duration == 3600])
    error_message = "Everybody must be bounded, and sign in anew after an hour."
  }
  assert {
    condition = toset([for attachment in aws_iam_role_policy_attachment.people : "${attachment.role} ${attachment.policy_arn}"]) == toset(flatten([
      for role in aws_iam_role.people : [for part in ["foundations", "verified"] : "${role.name} arn:aws:iam::123456789012:policy/lockstep-guard-${part}"]
    ]))
    error_message = "Everybody must carry both guards."
  }
  assert {
    condition     = aws_iam_role.people["research-approver"].tags == tomap({ team = "research" })
    error_message = "A session must tell its team."
  }
}

run "asks_who_it_is_and_for_a_second_factor" {
  assert {
    condition = alltrue([
      for role in aws_iam_role.people : alltrue([
        for statement in jsondecode(role.assume_role_policy).Statement :
        statement.Effect == "Allow" && statement.Action == "sts:AssumeRole" && statement.Condition == {
          StringEquals    = { "sts:RoleSessionName" = "$${aws:username}" }
          Bool            = { "aws:MultiFactorAuthPresent" = "true" }
          NumericLessThan = { "aws:MultiFactorAuthAge" = "3600" }
        }
      ])
    ])
    error_message = "Nobody may take on a role without a recent second factor, or under another's name, or with tags of their choice."
  }
  assert {
    condition = alltrue(flatten([
      for role in aws_iam_role.people : [
        for statement in jsondecode(role.assume_role_policy).Statement : [for arn in statement.Principal.AWS : !strcontains(arn, "*") && !endswith(arn, ":root")]
      ]
    ]))
    error_message = "Only who is named may take on a role."
  }
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.people : [
        for statement in jsondecode(policy.policy).Statement : !strcontains(jsonencode(try(statement.Condition, {})), "MultiFactorAuth")
      ]
    ]))
    error_message = "Sessions of a role carry no word of a second factor: asking for it in what the role is granted would lock everybody out."
  }
}

run "asks_approvers_and_operators_for_a_second_factor_whatever_is_said" {
  variables {
    mfa_for_all         = false
    mfa_max_age_seconds = 900
  }

  assert {
    condition = toset([
      for key, role in aws_iam_role.people : key
      if alltrue([for statement in jsondecode(role.assume_role_policy).Statement : try(statement.Condition.Bool["aws:MultiFactorAuthPresent"], "") == "true" && try(statement.Condition.NumericLessThan["aws:MultiFactorAuthAge"], "") == "900"])
    ]) == toset(["research-approver", "search-approver", "operator"])
    error_message = "Approving, rolling back and changing keys take a second factor."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.people : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["sts:RoleSessionName"] == "$${aws:username}"])
    error_message = "Everybody must sign in under their own name."
  }
}

run "believes_an_identity_provider_of_a_second_factor" {
  variables {
    identities = { source = "identity-provider" }
    teams = {
      research = {
        submitters           = ["arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Submitters_0123456789abcdef"]
        approvers            = ["arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Approvers_0123456789abcdef"]
        model_package_groups = ["Tiny-LM"]
      }
    }
    operators = []
    auditors  = []
  }

  assert {
    condition = jsondecode(aws_iam_role.people["research-approver"].assume_role_policy).Statement[0].Condition == {
      StringEquals = { "sts:RoleSessionName" = "$${aws:PrincipalTag/email}", "aws:PrincipalTag/mfa" = "true" }
    }
    error_message = "The provider must have said that there was a second factor, and who it is."
  }
  assert {
    condition = jsondecode(aws_iam_role.people["research-approver"].assume_role_policy).Statement[1] == {
      Sid       = "KeepOnesIdentity"
      Effect    = "Allow"
      Principal = { AWS = ["arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Approvers_0123456789abcdef"] }
      Action    = "sts:SetSourceIdentity"
      Condition = { StringEquals = { "sts:SourceIdentity" = "$${aws:PrincipalTag/email}" } }
    }
    error_message = "Nobody may claim another's source identity."
  }
}

run "lets_submitters_write_requests_and_their_teams_data_only" {
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.people["research-submitter"].policy).Statement : statement.Resource if contains(flatten([statement.Action]), "s3:PutObject")
      ])) == toset([
      "arn:aws:s3:::lockstep-intake-123456789012/promotions/$${aws:userid}/*", "arn:aws:s3:::lockstep-intake-123456789012/requests/$${aws:userid}/*",
      "arn:aws:s3:::lockstep-work-123456789012/datasets/training/research/*",
    ])
    error_message = "A submitter may write requests under their own id and their team's training data, and nothing else: no evaluation data, no other team's."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.people["search-submitter"].policy).Statement : [
        for resource in flatten([statement.Resource]) : resource if startswith(resource, "arn:aws:s3:::lockstep-work-123456789012/datasets/")
      ]
    ])) == toset(["arn:aws:s3:::lockstep-work-123456789012/datasets/training/search/*"])
    error_message = "Another team's data must be out of reach."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.people["research-submitter"].policy).Statement :
      length(setintersection(flatten([statement.Action]), ["states:StartExecution", "sagemaker:UpdateModelPackage"])) == 0
    ])
    error_message = "A submitter may start no run whose submitter is unknown, and approve nothing."
  }
}

run "lets_approvers_decide_about_their_teams_packages_only" {
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.people["research-approver"].policy).Statement : [statement.Resource, statement.Condition] if contains(flatten([statement.Action]), "sagemaker:UpdateModelPackage")
      ] == [[
        ["arn:aws:sagemaker:us-east-1:123456789012:model-package/tiny-lm/*"],
        { StringEquals = { "sagemaker:ModelApprovalStatus" = ["Approved", "Rejected"] }, Null = { "sagemaker:CustomerMetadataPropertiesToRemove" = "true" } },
    ]]
    error_message = "An approver may say yes or no to packages of their team's groups, whose ARNs are in lower case, and change nothing else of them."
  }
  assert {
    condition = toset([
      for key, policy in aws_iam_role_policy.people : key
      if anytrue([for statement in jsondecode(policy.policy).Statement : statement.Effect == "Allow" && contains(flatten([statement.Action]), "sagemaker:UpdateModelPackage")])
    ]) == toset(["research-approver", "search-approver"])
    error_message = "Nobody else may decide."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.people["research-approver"].policy).Statement :
      length(setintersection(flatten([statement.Action]), ["s3:PutObject", "states:StopExecution"])) == 0
    ])
    error_message = "An approver may write nothing, a request least of all."
  }
}

run "lets_operators_stop_and_pause_and_make_nothing" {
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.people["operator"].policy).Statement : [
        for pair in setproduct(flatten([statement.Action]), flatten([statement.Resource])) : join(" ", pair)
        if !can(regex(":(BatchGet|Describe|Filter|Get|List|StartQuery|StopQuery)", pair[0])) && pair[0] != "kms:Decrypt"
      ]
      ])) == toset(concat(
      [
        "events:DisableRule arn:aws:events:us-east-1:123456789012:rule/lockstep-request",
        "events:EnableRule arn:aws:events:us-east-1:123456789012:rule/lockstep-request",
        "iam:PassRole arn:aws:iam::123456789012:role/lockstep-scheduler",
        "lambda:InvokeFunction arn:aws:lambda:us-east-1:123456789012:function:lockstep-respond-incident",
        "scheduler:UpdateSchedule arn:aws:scheduler:us-east-1:123456789012:schedule/default/lockstep-*",
        "sns:Subscribe arn:aws:sns:us-east-1:123456789012:lockstep-notifications",
        "sns:Unsubscribe *",
        "states:StopExecution arn:aws:states:us-east-1:123456789012:execution:lockstep-pipeline:*",
      ],
      flatten([for action in ["kms:DisableKey", "kms:EnableKey"] : [for arn in concat(values(var.signing_key_arns), [var.checkpoint_key_arn]) : "${action} ${arn}"]]),
    ))
    error_message = "An operator may stop runs, pause intake and schedules, roll back through the function, subscribe, and disable a key that attests; and change nothing else, least of all an endpoint."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.people["operator"].policy).Statement :
      statement.Condition.StringEquals["iam:PassedToService"] == "scheduler.amazonaws.com" if contains(flatten([statement.Action]), "iam:PassRole")
    ])
    error_message = "A schedule's role may be passed to Scheduler only."
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.people["operator"].policy).Statement : statement.Condition if contains(flatten([statement.Action]), "sns:Subscribe")
    ] == [{ StringEquals = { "sns:Protocol" = "email" }, StringLike = { "sns:Endpoint" = ["*@example.com"] } }]
    error_message = "What awaits approval may be mailed to one's own domain only."
  }
}

run "gives_operators_no_more_than_there_is" {
  variables {
    scheduler_role_arn    = null
    rollback_function_arn = null
    dead_letter_queue_arn = null
    mail_domains          = []
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.people["operator"].policy).Statement :
      length(setintersection(flatten([statement.Action]), ["iam:PassRole", "lambda:InvokeFunction", "scheduler:UpdateSchedule", "sns:Subscribe", "sqs:GetQueueAttributes"])) == 0
    ])
    error_message = "What is not there must not be granted."
  }
  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.incident : length(target.dead_letter_config) == 0])
    error_message = "Without a queue, nothing must point at one."
  }
}

run "lets_operators_redrive_only_if_told_to" {
  variables {
    operators_may_redrive = true
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.people["operator"].policy, aws_iam_policy.boundary.policy] :
      anytrue([for statement in jsondecode(policy).Statement : statement.Effect == "Allow" && contains(flatten([statement.Action]), "states:RedriveExecution")])
    ])
    error_message = "Where it is wanted, both the role and its boundary must let it."
  }
}

run "lets_auditors_read_and_keep_their_answers_only" {
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.people["auditor"].policy).Statement : [
        for pair in setproduct(flatten([statement.Action]), flatten([statement.Resource])) : join(" ", pair)
        if !can(regex(":(BatchGet|Describe|Get|List|Lookup)", pair[0])) && !startswith(pair[0], "kms:")
      ]
      ])) == toset([
      "athena:StartQueryExecution arn:aws:athena:us-east-1:123456789012:workgroup/lockstep-audit",
      "athena:StopQueryExecution arn:aws:athena:us-east-1:123456789012:workgroup/lockstep-audit",
      "s3:AbortMultipartUpload arn:aws:s3:::lockstep-trail-123456789012/athena/*",
      "s3:PutObject arn:aws:s3:::lockstep-trail-123456789012/athena/*",
    ])
    error_message = "An auditor may ask questions and keep the answers, and change nothing."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.people["auditor"].policy).Statement : statement.Resource if contains(flatten([statement.Action]), "kms:GetPublicKey")
    ])) == toset(concat([var.data_key_arn, var.checkpoint_key_arn], values(var.signing_key_arns)))
    error_message = "An auditor must be able to read every public key, and its policy."
  }
  assert {
    condition = alltrue([
      for action in ["s3:GetObjectVersion", "s3:GetObjectRetention"] : anytrue([
        for statement in jsondecode(aws_iam_role_policy.people["auditor"].policy).Statement :
        contains(flatten([statement.Action]), action) && contains(flatten([statement.Resource]), "arn:aws:s3:::lockstep-evidence-123456789012/*") && contains(flatten([statement.Resource]), "arn:aws:s3:::lockstep-trail-123456789012/*")
      ])
    ])
    error_message = "An auditor must be able to read each version of the evidence and of the trail, and how long it is kept."
  }
}

run "audits_without_a_trail" {
  variables {
    audit = null
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.people["auditor"].policy).Statement :
      alltrue([for action in flatten([statement.Action]) : !startswith(action, "athena:") && !startswith(action, "glue:") && action != "s3:PutObject" && action != "kms:GenerateDataKey"])
    ])
    error_message = "Without a trail there is nothing to ask, and nothing to write."
  }
}

run "lets_scientists_read_and_never_change" {
  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_iam_role_policy.people["research-scientist"].policy).Statement : [
        for action in flatten([statement.Action]) : can(regex("^[a-z0-9]+:(Describe|Get|List)", action)) || action == "kms:Decrypt"
      ] if statement.Effect == "Allow"
    ]))
    error_message = "A scientist reads."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.people["research-scientist"].policy).Statement :
      statement.Effect == "Deny" && contains(flatten([statement.Action]), "s3:Delete*") && contains(flatten([statement.Action]), "s3:Put*") && contains(flatten([statement.Action]), "sagemaker:Delete*") && statement.Resource == "*"
    ])
    error_message = "A scientist deletes nothing, whatever is attached to the role later."
  }
  assert {
    condition = alltrue([
      for resource in ["models/*", "artifacts/*", "datasets/training/research/*"] : anytrue([
        for statement in jsondecode(aws_iam_role_policy.people["research-scientist"].policy).Statement : contains(flatten([statement.Resource]), "arn:aws:s3:::lockstep-work-123456789012/${resource}")
      ])
    ])
    error_message = "A scientist must be able to read models, artifacts and the team's data."
  }
  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_iam_role_policy.people["research-scientist"].policy).Statement : [
        for resource in flatten([statement.Resource]) : !strcontains(resource, "/capture/") && !strcontains(resource, "/datasets/evaluation/") && !endswith(resource, "lockstep-work-123456789012/*")
      ]
    ]))
    error_message = "What customers sent, and what models are judged by, are not for scientists."
  }
}

run "keeps_task_tokens_secrets_and_keys_from_people" {
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.people : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in flatten([statement.Action]) :
          !contains(["states:GetExecutionHistory", "states:GetActivityTask", "kms:Sign", "kms:GenerateMac", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "secretsmanager:GetSecretValue"], action) && !startswith(action, "dynamodb:") && !startswith(action, "states:SendTask")
        ] if statement.Effect == "Allow"
      ]
    ]))
    error_message = "Nobody may be granted what task tokens are in, a secret's value, or a signature."
  }
  assert {
    condition = alltrue([
      for action in ["states:GetExecutionHistory", "states:SendTask*", "dynamodb:*", "states:StartExecution", "kms:Sign", "kms:GenerateMac", "secretsmanager:*", "s3:Delete*", "s3:BypassGovernanceRetention", "sagemaker:Delete*", "sts:AssumeRole"] :
      anytrue([
        for statement in jsondecode(aws_iam_policy.boundary.policy).Statement : statement.Effect == "Deny" && contains(flatten([statement.Action]), action) && statement.Resource == "*" && !can(statement.Condition)
      ])
    ])
    error_message = "The boundary must deny them, so that no other grant opens them."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_policy.boundary.policy).Statement : statement.Resource if statement.Effect == "Allow" && contains(flatten([statement.Action]), "s3:PutObject")
      ])) == toset([
      "arn:aws:s3:::lockstep-intake-123456789012/promotions/*", "arn:aws:s3:::lockstep-intake-123456789012/requests/*", "arn:aws:s3:::lockstep-work-123456789012/datasets/training/*", "arn:aws:s3:::lockstep-trail-123456789012/athena/*",
    ])
    error_message = "People may write nowhere that something verified is, whatever is attached to their roles."
  }
  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_iam_policy.boundary.policy).Statement : [
        for action in flatten([statement.Action]) : !contains(["*", "s3:*", "iam:*", "kms:*", "sagemaker:*", "s3:Put*"], action) && !startswith(action, "sagemaker:Create") && !startswith(action, "sts:")
      ] if statement.Effect == "Allow"
    ]))
    error_message = "The boundary must list what people may, and making models is not among it."
  }
  assert {
    # The boundary must let through what the roles are granted, or they would not work.
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.people : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in flatten([statement.Action]) : anytrue(flatten([
            for bound in jsondecode(aws_iam_policy.boundary.policy).Statement : [
              for pattern in flatten([bound.Action]) : can(regex("^${replace(pattern, "*", ".*")}$", action))
            ] if bound.Effect == "Allow"
          ]))
        ] if statement.Effect == "Allow"
      ]
    ]))
    error_message = "Each action that a role is granted must be within the boundary."
  }
}

run "grants_no_more_than_named" {
  assert {
    # Action by action, so that a new one without a resource has to be argued for.
    condition = toset(flatten([
      for policy in aws_iam_role_policy.people : [
        for statement in jsondecode(policy.policy).Statement : statement.Action if statement.Effect == "Allow" && contains(flatten([statement.Resource]), "*")
      ]
      ])) == toset([
      "cloudtrail:DescribeTrails", "cloudtrail:LookupEvents",
      "cloudwatch:GetMetricData", "cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics",
      "events:ListRules", "logs:DescribeLogGroups", "logs:StopQuery",
      "sagemaker:ListEndpointConfigs", "sagemaker:ListEndpoints", "sagemaker:ListModelPackageGroups", "sagemaker:ListModels",
      "sagemaker:ListProcessingJobs", "sagemaker:ListTrainingJobs",
      "scheduler:ListSchedules", "sns:Unsubscribe",
      "xray:BatchGetTraces", "xray:GetServiceGraph", "xray:GetTraceSummaries",
    ])
    error_message = "A statement may reach every resource only for actions that know none."
  }
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.people : [
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")] if statement.Effect == "Allow"
      ]
    ]))
    error_message = "Actions must be named one by one."
  }
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.people : [
        for statement in jsondecode(policy.policy).Statement : startswith(try(statement.Condition.StringEquals["kms:ViaService"], ""), "s3.") if contains(flatten([statement.Action]), "kms:Decrypt")
      ]
    ]))
    error_message = "People may decrypt through S3 only."
  }
  assert {
    condition     = alltrue([for policy in aws_iam_role_policy.people : length(policy.policy) <= 10240])
    error_message = "IAM takes 10,240 characters of a role's own policies."
  }
}

run "spares_only_the_role_whose_work_it_is" {
  assert {
    condition     = alltrue([for statement in flatten([for policy in aws_iam_policy.guard : jsondecode(policy.policy).Statement]) : statement.Effect == "Deny" && length(statement.Condition.ArnNotLike["aws:PrincipalArn"]) > 0])
    error_message = "A guard grants nothing, and spares somebody in each statement, or Lockstep could not work."
  }
  assert {
    condition = {
      for statement in flatten([for policy in aws_iam_policy.guard : jsondecode(policy.policy).Statement]) : statement.Sid => statement.Condition.ArnNotLike["aws:PrincipalArn"]
      if contains(["ServeAsLockstep", "RegisterAsLockstep", "DecideAsAnApprover", "KeepTheKeys", "KeepTheRoles", "KeepTheMachine", "DisableKeysAsAnOperator"], statement.Sid)
      } == {
      ServeAsLockstep    = ["arn:aws:iam::123456789012:role/lockstep-deploy-endpoint", "arn:aws:iam::123456789012:role/lockstep-respond-incident", "arn:aws:iam::123456789012:role/lockstep-seal-run"]
      RegisterAsLockstep = ["arn:aws:iam::123456789012:role/lockstep-approve-package"]
      DecideAsAnApprover = [
        "arn:aws:iam::123456789012:role/lockstep-approve-package", "arn:aws:iam::123456789012:role/lockstep-respond-incident",
        "arn:aws:iam::123456789012:role/lockstep-research-approver", "arn:aws:sts::123456789012:assumed-role/lockstep-research-approver/*",
        "arn:aws:iam::123456789012:role/lockstep-search-approver", "arn:aws:sts::123456789012:assumed-role/lockstep-search-approver/*",
      ]
      KeepTheKeys             = ["arn:aws:iam::123456789012:role/deployer"]
      KeepTheRoles            = ["arn:aws:iam::123456789012:role/deployer"]
      KeepTheMachine          = ["arn:aws:iam::123456789012:role/deployer"]
      DisableKeysAsAnOperator = ["arn:aws:iam::123456789012:role/deployer", "arn:aws:iam::123456789012:role/lockstep-operator", "arn:aws:sts::123456789012:assumed-role/lockstep-operator/*"]
    }
    error_message = "Models and endpoints change by deploy-endpoint, seal-run and respond-incident alone, packages are decided about by approvers, and keys, roles and code change by the deployer."
  }
  assert {
    condition = alltrue([
      for action in ["sagemaker:CreateModel", "sagemaker:CreateEndpointConfig", "sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint*", "sagemaker:DeleteEndpoint"] : anytrue([
        for statement in flatten([for policy in aws_iam_policy.guard : jsondecode(policy.policy).Statement]) :
        contains(flatten([statement.Action]), action) && length(setsubtract([for kind in ["endpoint", "endpoint-config", "model"] : "arn:aws:sagemaker:*:123456789012:${kind}/*"], flatten([statement.Resource]))) == 0
      ])
    ])
    error_message = "No model, endpoint configuration or endpoint may be changed by anyone else, in any region and under any name."
  }
  assert {
    condition = anytrue([
      for statement in flatten([for policy in aws_iam_policy.guard : jsondecode(policy.policy).Statement]) :
      contains(flatten([statement.Action]), "s3:PutObject*") && contains(flatten([statement.Action]), "s3:DeleteObject*") && toset(flatten([statement.Resource])) == toset([
        "arn:aws:s3:::lockstep-work-123456789012/artifacts/*", "arn:aws:s3:::lockstep-work-123456789012/models/*",
        "arn:aws:s3:::lockstep-evidence-123456789012/incidents/*", "arn:aws:s3:::lockstep-evidence-123456789012/revoked/*", "arn:aws:s3:::lockstep-evidence-123456789012/runs/*",
      ])
    ])
    error_message = "Nobody else may write or delete where verified things live."
  }
  assert {
    condition = anytrue([
      for statement in flatten([for policy in aws_iam_policy.guard : jsondecode(policy.policy).Statement]) :
      contains(flatten([statement.Action]), "iam:PassRole") && statement.Resource == "arn:aws:iam::123456789012:role/lockstep-*" && !contains(statement.Condition.ArnNotLike["aws:PrincipalArn"], "arn:aws:iam::123456789012:role/lockstep-seal-run")
    ])
    error_message = "Nobody may hand one of Lockstep's roles to a function of their own."
  }
  assert {
    condition = alltrue([
      for statement in flatten([for policy in aws_iam_policy.guard : jsondecode(policy.policy).Statement]) :
      statement.Condition["ForAnyValue:StringLike"]["kms:ResourceAliases"] == "alias/lockstep-*" if length(setintersection(flatten([statement.Action]), ["kms:PutKeyPolicy", "kms:DisableKey"])) > 0
    ])
    error_message = "Another application's keys are not ours to guard."
  }
  assert {
    condition = alltrue([
      for statement in flatten([for policy in aws_iam_policy.guard : jsondecode(policy.policy).Statement]) : alltrue([for arn in flatten([statement.Resource]) : strcontains(arn, "123456789012") && arn != "*"])
    ])
    error_message = "In an organisation, the guard must bind this account and no other."
  }
}

run "fits_what_aws_takes" {
  variables {
    # The longest that `name` can be, with ARNs to match.
    name = "lockstep-production1"
    bucket_arns = {
      intake   = "arn:aws:s3:::lockstep-production1-intake-123456789012"
      work     = "arn:aws:s3:::lockstep-production1-work-123456789012"
      evidence = "arn:aws:s3:::lockstep-production1-evidence-123456789012"
    }
    state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:lockstep-production1-pipeline"
    role_arns = {
      admit-run        = "arn:aws:iam::123456789012:role/lockstep-production1-admit-run"
      approve-package  = "arn:aws:iam::123456789012:role/lockstep-production1-approve-package"
      deploy-endpoint  = "arn:aws:iam::123456789012:role/lockstep-production1-deploy-endpoint"
      download-model   = "arn:aws:iam::123456789012:role/lockstep-production1-download-model"
      evaluate-model   = "arn:aws:iam::123456789012:role/lockstep-production1-evaluate-model"
      launch-training  = "arn:aws:iam::123456789012:role/lockstep-production1-launch-training"
      monitor-drift    = "arn:aws:iam::123456789012:role/lockstep-production1-monitor-drift"
      resume-execution = "arn:aws:iam::123456789012:role/lockstep-production1-resume-execution"
      scan-gate        = "arn:aws:iam::123456789012:role/lockstep-production1-scan-gate"
      seal-artifact    = "arn:aws:iam::123456789012:role/lockstep-production1-seal-artifact"
      respond-incident = "arn:aws:iam::123456789012:role/lockstep-production1-respond-incident"
      seal-run         = "arn:aws:iam::123456789012:role/lockstep-production1-seal-run"
    }
    scheduler_role_arn = "arn:aws:iam::123456789012:role/lockstep-production1-scheduler"
    deployers          = ["arn:aws:iam::123456789012:role/lockstep-production1-github-apply", "arn:aws:iam::123456789012:role/break-glass-administrator"]
  }

  assert {
    condition     = alltrue([for policy in concat(values(aws_iam_policy.guard), [aws_iam_policy.boundary]) : length(policy.policy) <= 6144])
    error_message = "IAM takes 6,144 characters of a managed policy."
  }
  assert {
    condition     = alltrue([for document in output.organization_policies : length(document) <= 5120])
    error_message = "Organizations takes 5,120 characters of a service control policy."
  }
  assert {
    condition     = alltrue([for rule in aws_cloudwatch_event_rule.incident : length(rule.event_pattern) <= 2048 && length(rule.name) <= 64])
    error_message = "EventBridge takes 2,048 characters of a pattern and 64 of a name."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.people : length(role.name) <= 64 && length(role.assume_role_policy) <= 2048])
    error_message = "IAM takes 64 characters of a role's name and 2,048 of its trust."
  }
}

run "makes_an_organisations_policy_only_if_told_to" {
  assert {
    condition     = length(aws_organizations_policy.guard) == 0 && length(aws_organizations_policy_attachment.guard) == 0
    error_message = "What nobody asked for must not be there."
  }
  assert {
    condition = {
      for part, document in output.organization_policies : part => [for statement in jsondecode(document).Statement : jsonencode(statement)]
      } == {
      for part, policy in aws_iam_policy.guard : part => [for statement in jsondecode(policy.policy).Statement : jsonencode({ for key, value in statement : key => value if key != "Sid" })]
    }
    error_message = "It must be there to be taken, and say what the guards say."
  }
}

run "binds_an_account_and_its_administrators" {
  variables {
    organization_targets = ["123456789012"]
    guarded_roles        = ["administrator"]
  }

  assert {
    condition     = alltrue([for policy in aws_organizations_policy.guard : policy.type == "SERVICE_CONTROL_POLICY"]) && [for attachment in aws_organizations_policy_attachment.guard : attachment.target_id] == ["123456789012", "123456789012"]
    error_message = "Both guards must bind the account."
  }
  assert {
    condition = toset([for attachment in aws_iam_role_policy_attachment.guard : "${attachment.role} ${attachment.policy_arn}"]) == toset([
      "administrator arn:aws:iam::123456789012:policy/lockstep-guard-foundations", "administrator arn:aws:iam::123456789012:policy/lockstep-guard-verified",
    ])
    error_message = "Both guards must bind who is named."
  }
}

run "raises_an_incident_when_anyone_else_changes_something" {
  assert {
    condition = toset(keys(aws_cloudwatch_event_rule.incident)) == toset([
      "artifacts", "buckets", "code", "decision", "deletion", "evidence", "functions", "keys", "models", "pipeline", "policy", "roles", "rules", "serving", "trail",
    ])
    error_message = "Each place must be watched."
  }
  assert {
    # Values of a list are alternatives: root, users and services have no session issuer, and must match too.
    condition = alltrue([
      for rule in aws_cloudwatch_event_rule.incident :
      length(jsondecode(rule.event_pattern).detail.userIdentity.sessionContext.sessionIssuer.arn) == 2 &&
      length(jsondecode(rule.event_pattern).detail.userIdentity.sessionContext.sessionIssuer.arn[0]["anything-but"]) > 0 &&
      jsondecode(rule.event_pattern).detail.userIdentity.sessionContext.sessionIssuer.arn[1] == { exists = false }
    ])
    error_message = "Whoever has no role must be noticed as well."
  }
  assert {
    condition = alltrue(flatten([
      for rule in aws_cloudwatch_event_rule.incident : [
        for arn in jsondecode(rule.event_pattern).detail.userIdentity.sessionContext.sessionIssuer.arn[0]["anything-but"] : !strcontains(arn, "*") && strcontains(arn, ":role/")
      ]
    ]))
    error_message = "EventBridge compares what is excepted as it is: a pattern would except nobody, and a session is not what an issuer is called."
  }
  assert {
    condition = { for name in ["serving", "decision", "models", "artifacts", "keys"] : name => jsondecode(aws_cloudwatch_event_rule.incident[name].event_pattern).detail.userIdentity.sessionContext.sessionIssuer.arn[0]["anything-but"] } == {
      serving = [
        "arn:aws:iam::123456789012:role/lockstep-deploy-endpoint", "arn:aws:iam::123456789012:role/lockstep-respond-incident", "arn:aws:iam::123456789012:role/lockstep-seal-run",
        "arn:aws:iam::123456789012:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
      ]
      decision = [
        "arn:aws:iam::123456789012:role/lockstep-approve-package", "arn:aws:iam::123456789012:role/lockstep-respond-incident",
        "arn:aws:iam::123456789012:role/lockstep-research-approver", "arn:aws:iam::123456789012:role/lockstep-search-approver",
      ]
      models    = ["arn:aws:iam::123456789012:role/lockstep-download-model"]
      artifacts = ["arn:aws:iam::123456789012:role/lockstep-seal-artifact"]
      keys      = ["arn:aws:iam::123456789012:role/deployer"]
    }
    error_message = "Only whose work it is may go unnoticed; not even an operator who disables a key."
  }
  assert {
    condition = length(setsubtract(
      ["CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities", "DeleteEndpoint"],
      jsondecode(aws_cloudwatch_event_rule.incident["serving"].event_pattern).detail.eventName,
    )) == 0
    error_message = "Each way to change what serves must be watched."
  }
  assert {
    condition     = toset(jsondecode(aws_cloudwatch_event_rule.incident["keys"].event_pattern).detail.resources.ARN) == toset(concat([var.data_key_arn, var.checkpoint_key_arn], values(var.signing_key_arns)))
    error_message = "Each key must be watched."
  }
  assert {
    condition     = alltrue([for rule in aws_cloudwatch_event_rule.incident : jsondecode(rule.event_pattern)["detail-type"] == ["AWS API Call via CloudTrail"] && !can(jsondecode(rule.event_pattern).detail.errorCode)])
    error_message = "A denied attempt is an incident, too."
  }
}

run "tells_what_happened_and_no_secret" {
  assert {
    condition = alltrue(flatten([
      for target in aws_cloudwatch_event_target.incident : [
        for path in values(one(target.input_transformer).input_paths) :
        !strcontains(path, "requestParameters") && !strcontains(path, "responseElements") && !strcontains(path, "additionalEventData") && !strcontains(path, "errorMessage") && !strcontains(path, "accessKeyId") && path != "$.detail"
      ]
    ]))
    error_message = "What was sent and answered must stay in the trail: environments and tokens are in it."
  }
  assert {
    condition = alltrue([
      for name, target in aws_cloudwatch_event_target.incident :
      contains(["critical", "high"], jsondecode(one(target.input_transformer).input_template).severity) && jsondecode(one(target.input_transformer).input_template).runbook == "https://example.com/runbooks/incidents#${name}"
    ])
    error_message = "Whoever is woken up must be told how bad it is, and what to do."
  }
  assert {
    condition     = strcontains(one(aws_cloudwatch_event_target.incident["serving"].input_transformer).input_template, "\"principal\":\"<principal>\"")
    error_message = "EventBridge must find its placeholders unescaped."
  }
  assert {
    condition = alltrue([
      for target in aws_cloudwatch_event_target.incident :
      target.arn == "arn:aws:sns:us-east-1:123456789012:lockstep-notifications" && one(target.dead_letter_config).arn == "arn:aws:sqs:us-east-1:123456789012:lockstep-dead-letters"
    ])
    error_message = "Incidents go to the topic, and what it would not take to the queue."
  }
}

run "tells_another_topic_of_incidents_if_told_to" {
  variables {
    incident_topic_arn = "arn:aws:sns:us-east-1:123456789012:lockstep-incidents"
  }

  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.incident : target.arn == "arn:aws:sns:us-east-1:123456789012:lockstep-incidents"])
    error_message = "Incidents must go where they are asked for."
  }
}

run "has_no_roles_without_people" {
  variables {
    teams     = {}
    operators = []
    auditors  = []
  }

  assert {
    condition     = length(aws_iam_role.people) == 0 && length(aws_cloudwatch_event_rule.incident) == 15
    error_message = "A role that nobody may take on must not exist; an intruder is one all the same."
  }
}

run "verifies_what_serves_again_after_a_change_by_anyone_else" {
  variables {
    rollback_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:lockstep-respond-incident"
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.verified_again) == 9 && alltrue([for target in aws_cloudwatch_event_target.verified_again : target.arn == var.rollback_function_arn])
    error_message = "Whoever changed what serves, or what it was verified by, must wake the function that verifies it again."
  }
}
