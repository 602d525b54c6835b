# What must hold of the plan whatever the account: run with `terraform test`, no account needed.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "210987654321" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:210987654321:key/11111111-1111-4111-8111-111111111111" }
  }
}

variables {
  replication_role_arn = "arn:aws:iam::123456789012:role/lockstep-replication"
}

run "keeps_copies_as_their_originals_are_kept" {
  assert {
    condition     = alltrue([for config in aws_s3_bucket_versioning.this : one(config.versioning_configuration).status == "Enabled"]) && length(aws_s3_bucket_versioning.this) == 2
    error_message = "Replication needs versions at both ends."
  }
  assert {
    condition     = aws_s3_bucket.this["evidence"].object_lock_enabled && one(one(aws_s3_bucket_object_lock_configuration.evidence.rule).default_retention).days == 2557
    error_message = "Copies of evidence must be locked, or S3 takes none of what is."
  }
  assert {
    condition     = alltrue([for config in aws_s3_bucket_server_side_encryption_configuration.this : one(one(config.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"])
    error_message = "Copies must be encrypted."
  }
  assert {
    condition     = !anytrue([for name in values(output.bucket_names) : strcontains(name, "-evidence-") || strcontains(name, "-work-")])
    error_message = "A copy must not be taken for an environment's own bucket."
  }
  assert {
    condition = one([
      for rule in aws_s3_bucket_lifecycle_configuration.this["work"].rule : rule.noncurrent_version_expiration[0].noncurrent_days if rule.id == "forget-former-datasets"
    ]) == 30
    error_message = "What was forgotten must not stay here for ever."
  }
}

run "takes_copies_from_one_role_and_nothing_else" {
  assert {
    condition = alltrue([
      for policy in aws_s3_bucket_policy.this : toset(flatten([
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : "${action} ${statement.Principal.AWS} ${statement.Condition.ArnEquals["aws:PrincipalArn"]}"] if statement.Effect == "Allow"
      ])) == toset([for action in ["s3:ReplicateObject", "s3:ReplicateTags"] : "${action} arn:aws:iam::123456789012:root arn:aws:iam::123456789012:role/lockstep-replication"])
    ])
    error_message = "Nothing may be allowed but copying, as that role."
  }
  assert {
    condition = alltrue([
      for policy in aws_s3_bucket_policy.this : toset([for statement in jsondecode(policy.policy).Statement : statement.Sid if statement.Effect == "Deny"]) == toset(["NeverDelete", "SpeakTlsOnly", "WriteByReplicationOnly"])
    ])
    error_message = "Nobody may write, delete or speak without TLS."
  }
}

run "refuses_to_take_copies_from_anybody" {
  command = plan

  variables {
    replication_role_arn = "arn:aws:iam::123456789012:role/*"
  }

  expect_failures = [var.replication_role_arn]
}

run "refuses_to_forget_nothing" {
  command = plan

  variables {
    former_days = 0
  }

  expect_failures = [var.former_days]
}
