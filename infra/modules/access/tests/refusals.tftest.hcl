# What the module refuses to be told, each with one thing wrong.

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

run "refuses_everybody" {
  command = plan

  variables {
    teams = {
      research = {
        submitters           = ["*"]
        model_package_groups = ["tiny-lm"]
      }
    }
  }

  expect_failures = [var.teams]
}

run "refuses_every_user" {
  command = plan

  variables {
    teams = {
      research = {
        submitters           = ["arn:aws:iam::123456789012:user/*"]
        model_package_groups = ["tiny-lm"]
      }
    }
  }

  expect_failures = [var.teams]
}

run "refuses_an_account_that_holds_both_sides_of_an_approval" {
  command = plan

  variables {
    teams = {
      research = {
        approvers            = ["arn:aws:iam::123456789012:root"]
        model_package_groups = ["tiny-lm"]
      }
    }
  }

  expect_failures = [var.teams]
}

run "refuses_an_approver_who_submits" {
  command = plan

  variables {
    teams = {
      research = {
        submitters           = ["arn:aws:iam::123456789012:user/ada"]
        approvers            = ["arn:aws:iam::123456789012:user/ada"]
        model_package_groups = ["tiny-lm"]
      }
    }
  }

  expect_failures = [var.teams]
}

run "refuses_an_approver_who_submits_for_another_team" {
  command = plan

  variables {
    teams = {
      research = { submitters = ["arn:aws:iam::123456789012:user/ada"], model_package_groups = ["tiny-lm"] }
      search   = { approvers = ["arn:aws:iam::123456789012:user/ada"], model_package_groups = ["ranker"] }
    }
  }

  expect_failures = [var.teams]
}

run "refuses_a_role_where_sessions_have_no_users_name" {
  command = plan

  variables {
    teams = {
      research = {
        submitters           = ["arn:aws:iam::123456789012:role/ci"]
        model_package_groups = ["tiny-lm"]
      }
    }
  }

  expect_failures = [var.teams]
}

run "refuses_every_group" {
  command = plan

  variables {
    teams = {
      research = {
        model_package_groups = ["*"]
      }
    }
  }

  expect_failures = [var.teams]
}

run "refuses_a_team_without_groups" {
  command = plan

  variables {
    teams = {
      research = {
        model_package_groups = []
      }
    }
  }

  expect_failures = [var.teams]
}

run "refuses_a_group_of_two_teams" {
  command = plan

  variables {
    teams = {
      research = { model_package_groups = ["tiny-lm"] }
      search   = { model_package_groups = ["Tiny-LM"] }
    }
  }

  expect_failures = [var.teams]
}

run "refuses_a_team_that_is_no_prefix" {
  command = plan

  variables {
    teams = {
      "../models" = { model_package_groups = ["tiny-lm"] }
    }
  }

  expect_failures = [var.teams]
}

run "refuses_every_operator" {
  command = plan

  variables {
    operators = ["arn:aws:iam::123456789012:user/*"]
  }

  expect_failures = [var.operators]
}

run "refuses_an_operator_whom_no_name_is_known_of" {
  command = plan

  variables {
    operators = ["arn:aws:iam::123456789012:role/on-call"]
  }

  expect_failures = [var.operators]
}

run "refuses_every_auditor" {
  command = plan

  variables {
    auditors = ["*"]
  }

  expect_failures = [var.auditors]
}

run "refuses_every_deployer" {
  command = plan

  variables {
    deployers = ["arn:aws:iam::123456789012:role/*"]
  }

  expect_failures = [var.deployers]
}

run "refuses_another_source_of_identities" {
  command = plan

  variables {
    identities = { source = "ldap" }
    teams      = {}
    operators  = []
    auditors   = []
  }

  expect_failures = [var.identities]
}

run "refuses_a_tag_that_breaks_out_of_its_variable" {
  command = plan

  variables {
    identities = { name_tag = "email}" }
  }

  expect_failures = [var.identities]
}

run "refuses_one_tag_for_two_facts" {
  command = plan

  variables {
    identities = { name_tag = "mfa" }
  }

  expect_failures = [var.identities]
}

run "refuses_a_second_factor_of_last_week" {
  command = plan

  variables {
    mfa_max_age_seconds = 604800
  }

  expect_failures = [var.mfa_max_age_seconds]
}

run "refuses_to_spare_every_role" {
  command = plan

  variables {
    role_arns = { for verb in ["admit-run", "approve-package", "deploy-endpoint", "download-model", "evaluate-model", "launch-training", "monitor-drift", "respond-incident", "resume-execution", "scan-gate", "seal-artifact", "seal-run"] : verb => "arn:aws:iam::123456789012:role/*" }
  }

  expect_failures = [var.role_arns]
}

run "refuses_keys_that_no_function_signs_with" {
  command = plan

  variables {
    signing_key_arns = { somebody = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111101" }
  }

  expect_failures = [var.signing_key_arns]
}

run "refuses_a_bucket_with_a_path" {
  command = plan

  variables {
    bucket_arns = { intake = "arn:aws:s3:::a/b", work = "arn:aws:s3:::work", evidence = "arn:aws:s3:::evidence" }
  }

  expect_failures = [var.bucket_arns]
}

run "refuses_a_versions_arn_for_the_pipeline" {
  command = plan

  variables {
    state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:lockstep-pipeline:1"
  }

  expect_failures = [var.state_machine_arn]
}

run "refuses_to_pass_another_role_to_schedules" {
  command = plan

  variables {
    scheduler_role_arn = "arn:aws:iam::123456789012:role/lockstep-deploy-endpoint"
  }

  expect_failures = [var.scheduler_role_arn]
}

run "refuses_mail_to_anywhere" {
  command = plan

  variables {
    mail_domains = ["*"]
  }

  expect_failures = [var.mail_domains]
}

run "refuses_answers_beside_the_trail" {
  command = plan

  variables {
    audit = {
      trail_arn             = "arn:aws:cloudtrail:us-east-1:123456789012:trail/lockstep-trail"
      trail_bucket_arn      = "arn:aws:s3:::lockstep-trail-123456789012"
      access_log_bucket_arn = "arn:aws:s3:::lockstep-access-logs-123456789012"
      athena_workgroup      = "lockstep-audit"
      glue_database         = "lockstep_audit"
      results_arn           = "arn:aws:s3:::lockstep-trail-123456789012"
    }
  }

  expect_failures = [var.audit]
}

run "refuses_a_runbook_that_nobody_can_trust" {
  command = plan

  variables {
    runbook_url = "http://example.com/runbook"
  }

  expect_failures = [var.runbook_url]
}

run "refuses_a_target_that_no_organisation_has" {
  command = plan

  variables {
    organization_targets = ["everybody"]
  }

  expect_failures = [var.organization_targets]
}

run "refuses_a_name_that_no_bucket_can_hold" {
  command = plan

  variables {
    name               = "Lockstep"
    scheduler_role_arn = null
  }

  expect_failures = [var.name]
}

run "refuses_more_approvers_than_a_pattern_holds" {
  command = plan

  variables {
    teams = {
      for number in range(40) : "team-${number}" => {
        approvers            = ["arn:aws:iam::123456789012:user/grace"]
        model_package_groups = ["group-${number}"]
      }
    }
  }

  expect_failures = [aws_iam_policy.guard["verified"], aws_cloudwatch_event_rule.incident["decision"]]
}
