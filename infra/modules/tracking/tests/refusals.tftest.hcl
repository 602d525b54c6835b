# What a mistake in a variable ends in: each before anything is planned.

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
  mock_data "aws_prefix_list" {
    defaults = { id = "pl-63a5400a" }
  }
}

variables {
  vpc_id                         = "vpc-1"
  subnet_ids                     = ["subnet-private-1", "subnet-private-2"]
  load_balancer_subnet_ids       = ["subnet-egress-1", "subnet-egress-2"]
  vpc_endpoint_security_group_id = "sg-endpoints"
  people_cidrs                   = ["10.8.0.0/16"]
  host_name                      = "tracking.example.com"
  certificate_arn                = "arn:aws:acm:us-east-1:123456789012:certificate/22222222-2222-4222-8222-222222222222"
  data_key_arn                   = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111"
  access_log_bucket              = "lockstep-access-logs-123456789012"
  topic_arn                      = "arn:aws:sns:us-east-1:123456789012:lockstep-notifications"
  image                          = "123456789012.dkr.ecr.us-east-1.amazonaws.com/lockstep/tracking@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  sign_in = {
    user_pool_arn       = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_Abcdefghi"
    user_pool_client_id = "1example23456789abcdefghij"
    user_pool_domain    = "example"
  }
  machines = {
    ca_bundle          = { bucket = "trust", key = "tracking/ca.pem", version = "v1" }
    revocation_lists   = [{ bucket = "trust", key = "tracking/revoked.crl", version = "v7" }]
    security_group_ids = { functions = "sg-functions", jobs = "sg-jobs" }
  }
}

run "refuses_a_tag_in_place_of_a_digest" {
  command = plan

  variables {
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/lockstep/tracking:latest"
  }

  expect_failures = [var.image]
}

run "refuses_a_short_digest" {
  command = plan

  variables {
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/lockstep/tracking@sha256:0123"
  }

  expect_failures = [var.image]
}

run "refuses_an_image_from_a_registry_that_tasks_cannot_reach" {
  command = plan

  variables {
    image = "registry.example.com/tracking@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  expect_failures = [var.image]
}

run "refuses_to_run_as_root" {
  command = plan

  variables {
    container_user = "0:0"
  }

  expect_failures = [var.container_user]
}

run "refuses_to_run_in_roots_group" {
  command = plan

  variables {
    container_user = "10001:0"
  }

  expect_failures = [var.container_user]
}

run "refuses_a_user_by_name" {
  command = plan

  variables {
    container_user = "mlflow"
  }

  expect_failures = [var.container_user]
}

run "refuses_old_tls" {
  command = plan

  variables {
    tls_policy = "ELBSecurityPolicy-TLS13-1-1-2021-06"
  }

  expect_failures = [var.tls_policy]
}

run "refuses_ciphers_without_authentication" {
  command = plan

  variables {
    tls_policy = "ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06"
  }

  expect_failures = [var.tls_policy]
}

run "refuses_to_speak_without_a_certificate" {
  command = plan

  variables {
    certificate_arn = ""
  }

  expect_failures = [var.certificate_arn]
}

run "refuses_to_face_the_internet_without_a_web_acl" {
  command = plan

  variables {
    internal = false
  }

  expect_failures = [var.internal]
}

run "refuses_everybody_on_an_internal_load_balancer" {
  command = plan

  variables {
    people_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.people_cidrs]
}

run "refuses_nobody" {
  command = plan

  variables {
    people_cidrs = []
  }

  expect_failures = [var.people_cidrs]
}

run "refuses_a_web_acl_for_cloudfront" {
  command = plan

  variables {
    web_acl_arn = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/x/33333333-3333-4333-8333-333333333333"
  }

  expect_failures = [var.web_acl_arn]
}

run "refuses_a_client_secret_in_place_of_its_id" {
  command = plan

  variables {
    sign_in = {
      user_pool_arn       = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_Abcdefghi"
      user_pool_client_id = "1canarycanarycanarycanarycanarycanarycanarycanary0123"
      user_pool_domain    = "example"
    }
  }

  expect_failures = [var.sign_in]
}

run "refuses_a_sign_in_that_outlives_a_day" {
  command = plan

  variables {
    sign_in = {
      user_pool_arn       = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_Abcdefghi"
      user_pool_client_id = "1example23456789abcdefghij"
      user_pool_domain    = "example"
      session_seconds     = 604800
    }
  }

  expect_failures = [var.sign_in]
}

run "refuses_programs_from_anywhere" {
  command = plan

  variables {
    machines = {
      ca_bundle          = { bucket = "trust", key = "tracking/ca.pem", version = "v1" }
      security_group_ids = {}
    }
  }

  expect_failures = [var.machines]
}

run "refuses_an_authority_that_can_be_swapped" {
  command = plan

  variables {
    machines = {
      ca_bundle          = { bucket = "trust", key = "tracking/ca.pem", version = "" }
      security_group_ids = { functions = "sg-functions" }
    }
  }

  expect_failures = [var.machines]
}

run "refuses_one_zone" {
  command = plan

  variables {
    subnet_ids = ["subnet-private-1"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_a_load_balancer_in_one_zone" {
  command = plan

  variables {
    load_balancer_subnet_ids = ["subnet-egress-1", "subnet-egress-1"]
  }

  expect_failures = [var.load_balancer_subnet_ids]
}

run "refuses_few_backups" {
  command = plan

  variables {
    database = { backup_days = 6 }
  }

  expect_failures = [var.database]
}

run "refuses_a_minor_version" {
  command = plan

  variables {
    database = { major_version = "17.4" }
  }

  expect_failures = [var.database]
}

run "refuses_a_database_that_cannot_grow" {
  command = plan

  variables {
    database = { storage_gib = 100, max_storage_gib = 100 }
  }

  expect_failures = [var.database]
}

run "refuses_an_alias_for_the_key" {
  command = plan

  variables {
    data_key_arn = "arn:aws:kms:us-east-1:123456789012:alias/lockstep-data"
  }

  expect_failures = [var.data_key_arn]
}

run "refuses_alarms_that_tell_nobody" {
  command = plan

  variables {
    topic_arn = ""
  }

  expect_failures = [var.topic_arn]
}

run "refuses_an_alarm_that_cannot_fire" {
  command = plan

  variables {
    thresholds = { service_cpu_percent = 100 }
  }

  expect_failures = [var.thresholds]
}

run "refuses_logs_without_end" {
  command = plan

  variables {
    log_retention_days = 0
  }

  expect_failures = [var.log_retention_days]
}

run "refuses_logs_of_a_week" {
  command = plan

  variables {
    log_retention_days = 7
  }

  expect_failures = [var.log_retention_days]
}

run "refuses_a_size_that_fargate_has_not" {
  command = plan

  variables {
    memory_mib = 1024
  }

  expect_failures = [var.memory_mib]
}

run "refuses_no_task_at_all" {
  command = plan

  variables {
    tasks = { min = 0 }
  }

  expect_failures = [var.tasks]
}

run "refuses_to_protect_and_destroy" {
  command = plan

  variables {
    force_destroy = true
  }

  expect_failures = [var.force_destroy]
}

run "refuses_a_url_for_a_name" {
  command = plan

  variables {
    host_name = "https://tracking.example.com"
  }

  expect_failures = [var.host_name]
}

run "refuses_a_name_that_no_bucket_can_have" {
  command = plan

  variables {
    name = "Lockstep"
  }

  expect_failures = [var.name]
}

run "refuses_certificates_in_scratch_space" {
  command = plan

  variables {
    database_ca_path = "/tmp/bundle.pem"
  }

  expect_failures = [var.database_ca_path]
}
