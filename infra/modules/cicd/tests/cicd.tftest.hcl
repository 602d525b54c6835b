# What must hold of the plan whatever the account: run with `terraform test`, no account needed.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "123456789012"
      arn        = "arn:aws:iam::123456789012:role/administrator"
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
    defaults = { issuer_arn = "arn:aws:iam::123456789012:role/administrator" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked", unique_id = "AROAMOCKED" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mocked" }
  }
}

override_resource {
  target = aws_iam_policy.apply_boundary
  values = { arn = "arn:aws:iam::123456789012:policy/lockstep-ci-apply-boundary" }
}
override_resource {
  target = aws_iam_policy.workload_boundary
  values = { arn = "arn:aws:iam::123456789012:policy/lockstep-ci-workload-boundary" }
}

variables {
  repository  = "example/models"
  environment = "prod"
}

run "trusts_one_repository_by_whole_subjects" {
  assert {
    condition = alltrue([
      for role in aws_iam_role.this : alltrue([
        for statement in jsondecode(role.assume_role_policy).Statement :
        statement.Action == "sts:AssumeRoleWithWebIdentity" && statement.Effect == "Allow" && keys(statement.Condition) == ["StringEquals"] &&
        statement.Condition.StringEquals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com" &&
        statement.Principal.Federated == "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
      ])
    ])
    error_message = "Each role must trust GitHub's provider alone, for AWS as the audience, by equality and nothing looser."
  }
  assert {
    condition = {
      for purpose, role in aws_iam_role.this :
      purpose => tolist(flatten([jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"]]))
      } == {
      plan     = tolist(["repo:example/models:environment:prod-plan", "repo:example/models:pull_request", "repo:example/models:ref:refs/heads/main"])
      apply    = tolist(["repo:example/models:environment:prod"])
      image    = tolist(["repo:example/models:environment:registry"])
      requests = tolist(["repo:example/models:environment:requests"])
    }
    error_message = "A pull request may plan and nothing else; each of the others takes an environment of its own."
  }
  assert {
    condition     = alltrue(flatten([for role in aws_iam_role.this : [for value in flatten(values(jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals)) : !strcontains(value, "*") && !strcontains(value, "?")]]))
    error_message = "No subject may be a pattern."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.this : role.max_session_duration == 3600])
    error_message = "A session must end within the hour."
  }
}

run "trusts_the_repository_and_not_whoever_takes_its_name" {
  variables {
    repository_ids = { owner = "123456", repository = "456789" }
    image_subjects = ["environment:images"]
  }

  assert {
    condition = output.subjects == {
      plan = [
        "repo:example@123456/models@456789:environment:prod-plan", "repo:example@123456/models@456789:pull_request",
        "repo:example@123456/models@456789:ref:refs/heads/main",
      ]
      apply    = ["repo:example@123456/models@456789:environment:prod"]
      image    = ["repo:example@123456/models@456789:environment:images"]
      requests = ["repo:example@123456/models@456789:environment:requests"]
    }
    error_message = "With its ids, the subjects must be the ones that GitHub gives a repository with immutable subjects."
  }
}

run "keeps_one_environments_plan_out_of_anothers_account" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = output.subjects.plan[0] == "repo:example/models:environment:dev-plan" && output.subjects.apply == ["repo:example/models:environment:dev"]
    error_message = "A plan's environment may plan its own environment, and may not apply."
  }
  assert {
    condition     = length(setintersection(output.subjects.plan, concat(output.subjects.apply, output.subjects.image, output.subjects.requests))) == 0
    error_message = "Who may plan must not get more by the same token."
  }
}

run "uses_the_provider_that_is_there" {
  variables {
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && jsondecode(aws_iam_role.this["apply"].assume_role_policy).Statement[0].Principal.Federated == var.oidc_provider_arn
    error_message = "An account can have the provider once."
  }
}

run "makes_nothing_that_lasts" {
  assert {
    condition = contains(flatten([
      for statement in jsondecode(aws_iam_policy.apply_boundary.policy).Statement : statement.Action
      if statement.Effect == "Deny" && try(statement.Resource, "") == "*" && !can(statement.Condition)
    ]), "iam:*AccessKey*")
    error_message = "Nobody may be given an access key."
  }
  assert {
    condition     = aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com" && tolist(aws_iam_openid_connect_provider.github[0].client_id_list) == tolist(["sts.amazonaws.com"])
    error_message = "Only tokens made for AWS may be taken."
  }
}

run "plans_without_changing_anything" {
  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_policy.read), [aws_iam_role_policy.state["plan"]]) : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in flatten([statement.Action]) : can(regex("^[a-z0-9-]+:(Get|List|Describe)", action)) || contains(["kms:Decrypt", "states:ValidateStateMachineDefinition"], action)
        ]
      ]
    ]))
    error_message = "The plan role may look and nothing else."
  }
  assert {
    condition = length(setintersection(
      toset(flatten([for policy in aws_iam_policy.read : [for statement in jsondecode(policy.policy).Statement : statement.Action]])),
      ["secretsmanager:GetSecretValue", "dynamodb:GetItem", "dynamodb:Query", "logs:GetLogEvents", "logs:FilterLogEvents", "sqs:ReceiveMessage", "states:GetExecutionHistory"],
    )) == 0
    error_message = "A plan runs what a pull request holds: no secret, item, log line or history may be read by it."
  }
  assert {
    condition = toset(flatten([
      for policy in concat(values(aws_iam_policy.read), [aws_iam_role_policy.state["plan"]]) : [
        for statement in jsondecode(policy.policy).Statement : statement.Resource if contains(flatten([statement.Action]), "s3:GetObject")
      ]
      ])) == toset([
      "arn:aws:s3:::lockstep-work-123456789012/functions/*", "arn:aws:s3:::lockstep-evidence-123456789012/policy/*",
      "arn:aws:s3:::lockstep-state-123456789012/lockstep/prod.tfstate",
    ])
    error_message = "A plan may read its own state and what is deployed as objects, and no other object."
  }
  assert {
    condition = alltrue([
      for statement in flatten([for policy in concat(values(aws_iam_policy.read), [aws_iam_role_policy.state["plan"]]) : jsondecode(policy.policy).Statement]) :
      can(values(statement.Condition)[0]["kms:ViaService"]) if contains(flatten([statement.Action]), "kms:Decrypt")
    ])
    error_message = "Keys may be used by way of a service only."
  }
  assert {
    condition     = toset([for attachment in aws_iam_role_policy_attachment.read : attachment.role]) == toset(["lockstep-ci-plan"]) && toset([for attachment in aws_iam_role_policy_attachment.manage : attachment.role]) == toset(["lockstep-ci-apply"])
    error_message = "What changes things must be the apply role's alone."
  }
}

run "applies_under_a_boundary_that_it_cannot_move" {
  assert {
    condition     = aws_iam_role.this["apply"].permissions_boundary == "arn:aws:iam::123456789012:policy/lockstep-ci-apply-boundary"
    error_message = "The apply role must have its boundary."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_policy.apply_boundary.policy).Statement :
      statement.Effect == "Deny" && !can(statement.Condition) && length(setsubtract(
        ["iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:Put*", "iam:Set*", "iam:Update*", "iam:PassRole"], flatten([statement.Action])
        )) == 0 && length(setsubtract([
          "arn:aws:iam::123456789012:role/lockstep-ci-*", "arn:aws:iam::123456789012:policy/lockstep-ci-*", "arn:aws:iam::123456789012:oidc-provider/*",
      ], flatten([try(statement.Resource, [])]))) == 0
    ])
    error_message = "It must not change its own role, its policies, its boundaries or whom they trust, nor have a service run as it."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_policy.apply_boundary.policy).Statement :
      statement.Effect == "Deny" && try(statement.Condition.StringNotEquals["iam:PermissionsBoundary"], "") == "arn:aws:iam::123456789012:policy/lockstep-ci-workload-boundary" &&
      length(setsubtract(["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"], flatten([statement.Action]))) == 0 && try(statement.Resource, "") == "*"
      ]) && anytrue([
      for statement in jsondecode(aws_iam_policy.apply_boundary.policy).Statement :
      statement.Effect == "Deny" && !can(statement.Condition) && contains(flatten([statement.Action]), "iam:DeleteRolePermissionsBoundary")
    ])
    error_message = "It must not make a role that may do more than Lockstep's own, nor lift one's boundary."
  }
  assert {
    condition = alltrue([
      for statement in flatten([for policy in aws_iam_policy.manage : jsondecode(policy.policy).Statement]) :
      try(statement.Condition.StringEquals["iam:PermissionsBoundary"], "") == "arn:aws:iam::123456789012:policy/lockstep-ci-workload-boundary"
      if length(setintersection(flatten([statement.Action]), ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"])) > 0
    ])
    error_message = "Roles must be made under the workloads' boundary by the grant itself, too."
  }
  assert {
    condition = alltrue([
      for statement in flatten([for policy in aws_iam_policy.manage : jsondecode(policy.policy).Statement]) :
      length(try(statement.Condition.StringEquals["iam:PassedToService"], [])) > 0 && alltrue([for resource in flatten([statement.Resource]) : startswith(resource, "arn:aws:iam::123456789012:role/lockstep-")])
      if contains(flatten([statement.Action]), "iam:PassRole")
    ])
    error_message = "Only Lockstep's roles may be passed, and to named services only."
  }
}

run "leaves_evidence_and_all_content_alone" {
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_policy.apply_boundary.policy).Statement :
      statement.Effect == "Deny" && !can(statement.Condition) && length(setsubtract(["s3:PutObject*", "s3:DeleteObject*", "s3:GetObject*"], flatten([statement.Action]))) == 0 &&
      toset(try(statement.NotResource, [])) == toset([
        "arn:aws:s3:::lockstep-work-123456789012/functions/*", "arn:aws:s3:::lockstep-evidence-123456789012/policy/*",
        "arn:aws:s3:::lockstep-state-123456789012/lockstep/prod.tfstate", "arn:aws:s3:::lockstep-state-123456789012/lockstep/prod.tfstate.tflock",
      ])
    ])
    error_message = "Whoever deploys must not touch evidence, models, requests or data, in any bucket."
  }
  assert {
    condition = length(setsubtract(
      ["s3:BypassGovernanceRetention", "s3:PutObjectRetention", "s3:PutObjectLegalHold", "kms:Sign", "kms:GenerateMac", "secretsmanager:*SecretValue", "lambda:Invoke*", "states:SendTask*", "states:Start*", "ecr:PutImage", "dynamodb:*Item"],
      flatten([for statement in jsondecode(aws_iam_policy.apply_boundary.policy).Statement : statement.Action if statement.Effect == "Deny" && try(statement.Resource, "") == "*" && !can(statement.Condition)]),
    )) == 0
    error_message = "It must not unlock evidence, sign, read a secret, run a function, answer for a gate, start a run, push an image or read an item."
  }
  assert {
    condition = alltrue([
      for service in ["sagemaker", "sts", "organizations", "account", "ssm"] :
      !contains(flatten([for statement in jsondecode(aws_iam_policy.apply_boundary.policy).Statement : statement.Action if statement.Effect == "Allow"]), "${service}:*")
    ])
    error_message = "It deploys infrastructure and not models, and takes on no other role."
  }
  assert {
    condition = length(setsubtract(
      ["kms:ScheduleKeyDeletion", "s3:DeleteBucket", "dynamodb:DeleteTable", "secretsmanager:DeleteSecret", "rds:DeleteDBInstance", "ecr:DeleteRepository", "cloudtrail:StopLogging", "logs:DeleteLogGroup"],
      flatten([for statement in jsondecode(aws_iam_policy.apply_boundary.policy).Statement : statement.Action if statement.Effect == "Deny" && !can(statement.Condition)]),
    )) == 0
    error_message = "What cannot be made again must not be deleted by a merge."
  }
}

run "destroys_if_told_to" {
  variables {
    protect_data = false
  }

  assert {
    condition = !contains(flatten([
      for statement in jsondecode(aws_iam_policy.apply_boundary.policy).Statement : statement.Action if statement.Effect == "Deny" && try(statement.Resource, "") == "*"
    ]), "s3:DeleteBucket")
    error_message = "An environment that is to be destroyed by a workflow must be destructible."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_policy.apply_boundary.policy).Statement :
      statement.Effect == "Deny" && try(statement.Resource, "") == "arn:aws:s3:::lockstep-state-123456789012" && contains(flatten([statement.Action]), "s3:DeleteBucket*")
    ])
    error_message = "Even then the state must stay."
  }
}

run "grants_no_more_than_named" {
  variables {
    hosted_zone_ids = ["Z0123456789ABCDEFGHIJ"]
  }

  assert {
    # Action by action, so that a new one without a resource has to be argued for.
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_policy.manage), values(aws_iam_policy.read), [aws_iam_role_policy.image, aws_iam_role_policy.requests], values(aws_iam_role_policy.state)) : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in flatten([statement.Action]) : startswith(action, "ec2:Describe") || startswith(action, "elasticloadbalancing:Describe") || contains([
            "application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies", "cloudtrail:DescribeTrails",
            "ecr:GetAuthorizationToken", "ecr:GetRegistryScanningConfiguration", "ecr:PutRegistryScanningConfiguration",
            "ecs:DeregisterTaskDefinition", "ecs:DescribeTaskDefinition", "elasticloadbalancing:SetWebAcl",
            "guardduty:CreateDetector", "guardduty:CreatePublishingDestination", "guardduty:ListDetectors", "guardduty:ListPublishingDestinations", "kms:CreateKey", "kms:ListAliases", "logs:CreateLogDelivery", "logs:DeleteLogDelivery",
            "logs:DeleteQueryDefinition", "logs:DeleteResourcePolicy", "logs:DescribeLogGroups", "logs:DescribeQueryDefinitions",
            "logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutQueryDefinition",
            "logs:PutResourcePolicy", "logs:UpdateLogDelivery", "route53resolver:ListFirewallConfigs",
            "sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes", "sns:Unsubscribe", "states:ValidateStateMachineDefinition",
          ], action)
        ] if contains(flatten([statement.Resource]), "*")
      ]
    ]))
    error_message = "A statement may reach every resource only for actions that know none."
  }
  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_policy.manage), values(aws_iam_policy.read)) : [
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]
      ]
    ]))
    error_message = "Actions must be named one by one: a pattern grants what AWS adds next year as well."
  }
  assert {
    condition = alltrue(flatten([
      for policy in values(aws_iam_policy.manage) : [
        for statement in jsondecode(policy.policy).Statement : [
          for resource in flatten([statement.Resource]) :
          resource == "*" || strcontains(resource, ":123456789012:") || startswith(resource, "arn:aws:s3:::lockstep-") || startswith(resource, "arn:aws:route53:::")
        ]
      ]
    ]))
    error_message = "Nothing of another account may be named."
  }
  assert {
    condition     = alltrue([for policy in concat(values(aws_iam_policy.manage), values(aws_iam_policy.read), [aws_iam_policy.apply_boundary, aws_iam_policy.workload_boundary]) : length(replace(policy.policy, "/\\s/", "")) <= 6144])
    error_message = "IAM takes 6,144 characters in a policy."
  }
  assert {
    condition     = length(aws_iam_policy.manage) <= 10
    error_message = "IAM attaches ten policies to a role unless it is asked for more."
  }
}

run "fits_into_iams_limits_with_the_longest_name" {
  variables {
    name        = "abcdefghij-klmnopqrs"
    environment = "production-of-the-european-region"
  }

  assert {
    condition     = alltrue([for policy in concat(values(aws_iam_policy.manage), values(aws_iam_policy.read), [aws_iam_policy.apply_boundary, aws_iam_policy.workload_boundary]) : length(replace(policy.policy, "/\\s/", "")) <= 6144])
    error_message = "IAM takes 6,144 characters in a policy, whatever the name's length."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.this : length(role.name) <= 64]) && length(aws_s3_bucket.state.bucket) <= 63
    error_message = "Names must fit."
  }
}

run "bounds_whatever_it_makes" {
  assert {
    condition = !anytrue([
      for statement in jsondecode(aws_iam_policy.workload_boundary.policy).Statement : anytrue([
        for action in flatten([statement.Action]) : action == "*" || action == "iam:*" || can(regex("^iam:(Create|Put|Attach|Update|Delete|Add|Set)", action)) || startswith(action, "organizations:")
      ]) if statement.Effect == "Allow"
    ])
    error_message = "No role that a merge makes may change identities."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_policy.workload_boundary.policy).Statement :
      statement.Effect == "Deny" && contains(flatten([statement.Action]), "sts:AssumeRole") && try(statement.Resource, "") == "arn:aws:iam::123456789012:role/lockstep-ci-*"
      ]) && anytrue([
      for statement in jsondecode(aws_iam_policy.workload_boundary.policy).Statement :
      statement.Effect == "Deny" && contains(flatten([statement.Action]), "s3:BypassGovernanceRetention") && try(statement.Resource, "") == "*"
      ]) && anytrue([
      for statement in jsondecode(aws_iam_policy.workload_boundary.policy).Statement :
      statement.Effect == "Deny" && contains(flatten([statement.Action]), "s3:*") && contains(flatten([try(statement.Resource, [])]), "arn:aws:s3:::lockstep-state-123456789012/*")
    ])
    error_message = "No role that a merge makes may take on CI's, unlock evidence or see the state."
  }
}

run "pushes_to_one_repository_only" {
  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.image.policy).Statement : statement.Sid => statement.Resource
      } == {
      LogInToTheRegistry    = "*"
      PushAndSeeTheFindings = "arn:aws:ecr:us-east-1:123456789012:repository/lockstep/model-container"
    }
    error_message = "Images may be pushed to the one repository."
  }
  assert {
    condition     = !anytrue([for action in flatten([for statement in jsondecode(aws_iam_role_policy.image.policy).Statement : statement.Action]) : strcontains(action, "*") || strcontains(action, "Delete") || strcontains(action, "Policy")])
    error_message = "Who pushes must neither delete what was scanned nor change who may pull it."
  }
}

run "submits_under_one_name" {
  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.requests.policy).Statement : statement.Sid => "${join(",", flatten([statement.Action]))} ${statement.Resource}"
      } == {
      SubmitUnderOnesOwnId   = "s3:PutObject arn:aws:s3:::lockstep-intake-123456789012/requests/$${aws:userid}/*"
      EncryptWhatIsSubmitted = "kms:Decrypt,kms:GenerateDataKey arn:aws:kms:us-east-1:123456789012:key/*"
    }
    error_message = "The role may write requests under its own id, and nothing else anywhere."
  }
  assert {
    condition     = try(jsondecode(aws_iam_role.this["requests"].assume_role_policy).Statement[0].Condition.StringEquals["sts:RoleSessionName"], "") == "git" && output.requests_prefix == "requests/AROAMOCKED:git/"
    error_message = "A workflow must not choose the name it submits under."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.requests.policy).Statement :
      statement.Condition.StringEquals["kms:ViaService"] == "s3.us-east-1.amazonaws.com" && statement.Condition["ForAnyValue:StringEquals"]["kms:ResourceAliases"] == "alias/lockstep-data"
      if statement.Sid == "EncryptWhatIsSubmitted"
    ])
    error_message = "It may use the data key, through S3, and no other."
  }
}

run "keeps_the_state_to_its_users" {
  assert {
    condition = (
      one(aws_s3_bucket_versioning.state.versioning_configuration).status == "Enabled" && aws_s3_bucket.state.force_destroy == false &&
      one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" &&
      one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default).kms_master_key_id == aws_kms_key.state.arn &&
      aws_s3_bucket_public_access_block.state.block_public_acls && aws_s3_bucket_public_access_block.state.block_public_policy &&
      aws_s3_bucket_public_access_block.state.ignore_public_acls && aws_s3_bucket_public_access_block.state.restrict_public_buckets &&
      one(aws_s3_bucket_ownership_controls.state.rule).object_ownership == "BucketOwnerEnforced" && aws_kms_key.state.enable_key_rotation
    )
    error_message = "The state must be versioned, encrypted with a key that rotates, and never public."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement :
      statement.Effect == "Deny" && statement.Principal == "*" && statement.Action == "s3:*" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
    ])
    error_message = "What does not come over TLS must be denied."
  }
  assert {
    condition = alltrue([for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement : statement.Effect == "Deny"]) && anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement :
      contains(flatten([statement.Action]), "s3:GetObject") && toset(try(statement.Condition.ArnNotLike["aws:PrincipalArn"], [])) == toset([
        "arn:aws:iam::123456789012:role/lockstep-ci-plan", "arn:aws:sts::123456789012:assumed-role/lockstep-ci-plan/*",
        "arn:aws:iam::123456789012:role/lockstep-ci-apply", "arn:aws:sts::123456789012:assumed-role/lockstep-ci-apply/*",
        "arn:aws:iam::123456789012:role/administrator",
      ])
    ])
    error_message = "Only plan, apply and whoever administers this may read the state, whatever is granted elsewhere."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement :
      length(setsubtract(["s3:PutObject", "s3:DeleteObject"], flatten([statement.Action]))) == 0 && toset(try(statement.Condition.ArnNotLike["aws:PrincipalArn"], [])) == toset([
        "arn:aws:iam::123456789012:role/lockstep-ci-apply", "arn:aws:sts::123456789012:assumed-role/lockstep-ci-apply/*",
        "arn:aws:iam::123456789012:role/administrator",
      ])
    ])
    error_message = "A plan must write nothing, not even a lock."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement : statement.Action == "s3:DeleteObjectVersion" && !can(statement.Condition) && statement.Principal == "*"
      ]) && anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement : try(statement.NotResource, "") == "arn:aws:s3:::lockstep-state-123456789012/*.tflock" && statement.Action == "s3:DeleteObject" && !can(statement.Condition)
    ])
    error_message = "No version of the state may be deleted, and of current objects only locks."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_kms_key.state.policy).Statement :
      statement.Effect == "Deny" && contains(flatten([statement.Action]), "kms:Decrypt") && contains(flatten([statement.Action]), "kms:CreateGrant") &&
      contains(try(statement.Condition.ArnNotLike["aws:PrincipalArn"], []), "arn:aws:iam::123456789012:role/lockstep-ci-apply")
    ])
    error_message = "Nobody else may decrypt the state, wherever a copy of it lies."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.state["apply"].policy).Statement : [for pair in setproduct(flatten([statement.Action]), flatten([statement.Resource])) : join(" ", pair) if startswith(pair[0], "s3:")]
      ])) == toset([
      "s3:ListBucket arn:aws:s3:::lockstep-state-123456789012",
      "s3:GetObject arn:aws:s3:::lockstep-state-123456789012/lockstep/prod.tfstate", "s3:PutObject arn:aws:s3:::lockstep-state-123456789012/lockstep/prod.tfstate",
      "s3:GetObject arn:aws:s3:::lockstep-state-123456789012/lockstep/prod.tfstate.tflock", "s3:PutObject arn:aws:s3:::lockstep-state-123456789012/lockstep/prod.tfstate.tflock",
      "s3:DeleteObject arn:aws:s3:::lockstep-state-123456789012/lockstep/prod.tfstate.tflock",
    ])
    error_message = "The apply role may read and write its own state and take and release its lock: no other environment's, and not this module's."
  }
}

run "locks_without_a_table" {
  assert {
    condition     = output.backend_hcl == "bucket       = \"lockstep-state-123456789012\"\nkey          = \"lockstep/prod.tfstate\"\nregion       = \"us-east-1\"\nencrypt      = true\nkms_key_id   = \"${aws_kms_key.state.arn}\"\nuse_lockfile = true\n"
    error_message = "The backend must be encrypted with the state's key and lock by itself."
  }
  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.state.rule : rule]).noncurrent_version_expiration[0].noncurrent_days == 365 && one([for rule in aws_s3_bucket_lifecycle_configuration.state.rule : rule]).noncurrent_version_expiration[0].newer_noncurrent_versions == 20
    error_message = "Former states must be kept for a year, and the last twenty in any case."
  }
}

run "logs_access_to_the_state_if_told_where" {
  variables {
    access_log_bucket = "lockstep-access-logs-123456789012"
  }

  assert {
    condition     = aws_s3_bucket_logging.state[0].target_bucket == "lockstep-access-logs-123456789012" && aws_s3_bucket_logging.state[0].target_prefix == "s3/"
    error_message = "The access log must go where it is asked for."
  }
}

run "refuses_every_repository_of_an_owner" {
  command = plan
  variables {
    repository = "example/*"
  }
  expect_failures = [var.repository]
}

run "refuses_a_repository_with_a_subject_behind_it" {
  command = plan
  variables {
    repository = "example/models:environment"
  }
  expect_failures = [var.repository]
}

run "refuses_ids_that_are_names" {
  command = plan
  variables {
    repository_ids = { owner = "example", repository = "*" }
  }
  expect_failures = [var.repository_ids]
}

run "refuses_every_environment" {
  command = plan
  variables {
    environment = "*"
  }
  expect_failures = [var.environment]
}

run "refuses_every_branch" {
  command = plan
  variables {
    main_branch = "*"
  }
  expect_failures = [var.main_branch]
}

run "refuses_images_of_pull_requests" {
  command = plan
  variables {
    image_subjects = ["pull_request"]
  }
  expect_failures = [var.image_subjects]
}

run "refuses_images_of_every_tag" {
  command = plan
  variables {
    image_subjects = ["ref:refs/tags/v*"]
  }
  expect_failures = [var.image_subjects]
}

run "refuses_requests_of_pull_requests" {
  command = plan
  variables {
    requests_subjects = ["pull_request"]
  }
  expect_failures = [var.requests_subjects]
}

run "refuses_another_issuer" {
  command = plan
  variables {
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.example.com"
  }
  expect_failures = [var.oidc_provider_arn]
}

run "refuses_every_ecr_repository" {
  command = plan
  variables {
    repository_name = "*"
  }
  expect_failures = [var.repository_name]
}

run "refuses_everybody_as_an_administrator" {
  command = plan
  variables {
    administrators = ["arn:aws:iam::123456789012:role/*"]
  }
  expect_failures = [var.administrators]
}

run "refuses_every_zone" {
  command = plan
  variables {
    hosted_zone_ids = ["*"]
  }
  expect_failures = [var.hosted_zone_ids]
}

run "refuses_to_forget_the_state_within_a_week" {
  command = plan
  variables {
    state_history_days = 7
  }
  expect_failures = [var.state_history_days]
}
