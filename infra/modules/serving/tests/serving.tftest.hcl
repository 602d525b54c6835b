# What must hold of the plan whatever the account: run with `terraform test`, no account needed.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mocked" }
  }
}

variables {
  work_bucket_arn    = "arn:aws:s3:::lockstep-work-123456789012"
  data_key_arn       = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111"
  repository_arn     = "arn:aws:ecr:us-east-1:123456789012:repository/lockstep/model-container"
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_ids = ["sg-1"]
  endpoints          = { Tiny-LM = {} }
  callers            = ["arn:aws:iam::123456789012:role/shop"]
}

run "gives_the_endpoint_what_it_needs_and_no_more" {
  assert {
    condition = (
      jsondecode(aws_iam_role.endpoint.assume_role_policy).Statement[0].Principal == { Service = "sagemaker.amazonaws.com" } &&
      jsondecode(aws_iam_role.endpoint.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    )
    error_message = "SageMaker may take on the endpoint's role for this account only."
  }
  assert {
    condition     = aws_iam_role.endpoint.name == "lockstep-endpoint" && output.endpoint_role_name == "lockstep-endpoint"
    error_message = "deploy-endpoint passes the role by this name."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement : [
        for pair in setproduct(flatten([statement.Action]), flatten([statement.Resource])) : join(" ", pair) if startswith(pair[0], "s3:")
      ]
      ])) == toset([
      "s3:GetObject arn:aws:s3:::lockstep-work-123456789012/artifacts/*",
      "s3:ListBucket arn:aws:s3:::lockstep-work-123456789012",
      "s3:PutObject arn:aws:s3:::lockstep-work-123456789012/capture/*",
    ])
    error_message = "An endpoint may read sealed artifacts and write captured traffic, and nothing else in any bucket."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement :
      toset(try(statement.Condition.StringLike["s3:prefix"], [])) == toset(["artifacts/*"]) if contains(flatten([statement.Action]), "s3:ListBucket")
    ])
    error_message = "An endpoint may list artifacts only."
  }
  assert {
    # Action by action, so that a new one without a resource has to be argued for.
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement : statement.Action if contains(flatten([statement.Resource]), "*")
      ])) == toset([
      "cloudwatch:PutMetricData", "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
      "ec2:DescribeVpcs", "ecr:GetAuthorizationToken",
    ])
    error_message = "A statement may reach every resource only for actions that know none."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement : alltrue([for action in flatten([statement.Action]) : !strcontains(action, "*")])
    ])
    error_message = "Actions must be named one by one."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement : statement.Resource if contains(flatten([statement.Action]), "ec2:CreateNetworkInterface")
      ])) == toset([
      "arn:aws:ec2:us-east-1:123456789012:network-interface/*", "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-1",
      "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-2", "arn:aws:ec2:us-east-1:123456789012:security-group/sg-1",
    ])
    error_message = "Instances may be attached to the given subnets, in the given security groups, only."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.endpoint.policy).Statement :
      try(statement.Condition.Bool["kms:GrantIsForAWSResource"], "") == "true" if contains(flatten([statement.Action]), "kms:CreateGrant")
    ])
    error_message = "The key may be granted to AWS services only."
  }
  assert {
    condition     = output.vpc_config == { subnets = tolist(["subnet-1", "subnet-2"]), security_group_ids = tolist(["sg-1"]) } && output.enable_network_isolation
    error_message = "Models run in the given subnets, and isolated."
  }
}

run "bounds_the_roles_if_told_to" {
  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition     = aws_iam_role.endpoint.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary" && aws_iam_role.caller[0].permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    error_message = "Both roles must carry the boundary."
  }
}

run "lets_callers_ask_the_declared_endpoints_only" {
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.caller[0].policy).Statement : [statement.Effect, flatten([statement.Action]), statement.Resource]
    ] == [["Allow", ["sagemaker:InvokeEndpoint"], ["arn:aws:sagemaker:us-east-1:123456789012:endpoint/tiny-lm"]]]
    error_message = "A caller may invoke the declared endpoints, whose ARNs are in lower case, and do nothing else."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.caller[0].policy).Statement[0].Condition == { Null = { "sagemaker:TargetModel" = "true" } }
    error_message = "A caller may name no model behind an endpoint."
  }
  assert {
    condition     = jsondecode(aws_iam_role.caller[0].assume_role_policy).Statement[0].Principal == { AWS = ["arn:aws:iam::123456789012:role/shop"] }
    error_message = "Only who is named may become a caller."
  }
  assert {
    condition     = aws_iam_role.caller[0].name == "lockstep-caller" && aws_iam_role.caller[0].max_session_duration == 3600
    error_message = "The caller's role is named after the installation, and its sessions last an hour."
  }
}

run "binds_callers_to_the_vpc_if_told_to" {
  variables {
    vpc_endpoint_id = "vpce-0123456789abcdef0"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.caller[0].policy).Statement[0].Condition.StringEquals["aws:SourceVpce"] == "vpce-0123456789abcdef0"
    error_message = "Leaked credentials must be worth nothing outside the VPC."
  }
}

run "streams_answers_only_if_told_to" {
  variables {
    response_streams = true
  }

  assert {
    condition     = contains(jsondecode(aws_iam_role_policy.caller[0].policy).Statement[0].Action, "sagemaker:InvokeEndpointWithResponseStream")
    error_message = "Callers must be able to have answers streamed."
  }
}

run "has_no_caller_role_without_callers" {
  variables {
    callers = []
  }

  assert {
    condition     = length(aws_iam_role.caller) == 0 && output.caller_role_arn == null
    error_message = "A role that nobody may take on must not exist."
  }
}

run "lets_nothing_else_through_the_vpc_endpoint" {
  assert {
    condition = [
      for statement in jsondecode(output.vpc_endpoint_policy).Statement :
      [statement.Effect, flatten([statement.Action]), statement.Resource, statement.Condition]
      ] == [[
        "Allow", ["sagemaker:InvokeEndpoint"], ["arn:aws:sagemaker:us-east-1:123456789012:endpoint/tiny-lm"],
        { StringEquals = { "aws:PrincipalAccount" = "123456789012" } },
    ]]
    error_message = "No data may leave by an endpoint of another account, or with another account's credentials."
  }
}

run "watches_what_undoes_a_deployment" {
  assert {
    condition     = output.endpoints["Tiny-LM"].alarms == ["lockstep-Tiny-LM-5xx", "lockstep-Tiny-LM-latency"] && length(output.endpoints["Tiny-LM"].notices) == 0
    error_message = "Functions know the guardrails by these names."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.latency["Tiny-LM"].threshold == 2000000 && aws_cloudwatch_metric_alarm.latency["Tiny-LM"].extended_statistic == "p99"
    error_message = "ModelLatency counts microseconds."
  }
  assert {
    condition = alltrue([
      for alarm in [aws_cloudwatch_metric_alarm.latency["Tiny-LM"], aws_cloudwatch_metric_alarm.server_errors["Tiny-LM"]] :
      alarm.treat_missing_data == "notBreaching" && alarm.dimensions == tomap({ EndpointName = "Tiny-LM", VariantName = "primary" }) && alarm.namespace == "AWS/SageMaker"
    ])
    error_message = "Guardrails watch the variant that is deployed; one that serves nobody yet is no breach."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.server_errors["Tiny-LM"].metric_name == "Invocation5XXErrors" && aws_cloudwatch_metric_alarm.server_errors["Tiny-LM"].threshold == 1
    error_message = "One server error is one too many, unless told otherwise."
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.notice) == 0 && length(aws_cloudwatch_metric_alarm.latency["Tiny-LM"].alarm_actions) == 0
    error_message = "What nobody asked for must not be there."
  }
}

run "tells_of_what_callers_can_cause_and_undoes_nothing_for_it" {
  variables {
    endpoints = { tiny-lm = { max_4xx_errors = 50, max_model_errors = 10 } }
    topic_arn = "arn:aws:sns:us-east-1:123456789012:lockstep-notifications"
  }

  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.notice : name => [alarm.metric_name, alarm.threshold, alarm.alarm_name] } == {
      tiny-lm-4xx          = ["Invocation4XXErrors", 50, "lockstep-tiny-lm-4xx"]
      tiny-lm-model-errors = ["InvocationModelErrors", 10, "lockstep-tiny-lm-model-errors"]
    }
    error_message = "Refused requests and the container's errors must be told of."
  }
  assert {
    condition     = output.endpoints["tiny-lm"].alarms == ["lockstep-tiny-lm-5xx", "lockstep-tiny-lm-latency"] && output.endpoints["tiny-lm"].notices == tolist(["lockstep-tiny-lm-4xx", "lockstep-tiny-lm-model-errors"])
    error_message = "A caller that sends nonsense must not be able to undo a deployment."
  }
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.notice), values(aws_cloudwatch_metric_alarm.server_errors), values(aws_cloudwatch_metric_alarm.latency)) :
      alarm.alarm_actions == toset(["arn:aws:sns:us-east-1:123456789012:lockstep-notifications"])
    ])
    error_message = "Every alarm must tell the topic."
  }
}

run "denies_models_that_could_talk" {
  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_policy.guard.policy).Statement : statement.Effect == "Deny" && statement.Resource == "*"])
    error_message = "A guard grants nothing, and exempts no name."
  }
  assert {
    condition = {
      for statement in jsondecode(aws_iam_policy.guard.policy).Statement :
      statement.Sid => statement.Condition if contains(flatten([statement.Action]), "sagemaker:CreateModel")
      } == {
      NoContainerWithoutSubnets        = { Null = { "sagemaker:VpcSubnets" = "true" } }
      NoContainerInOtherSubnets        = { "ForAnyValue:StringNotEquals" = { "sagemaker:VpcSubnets" = ["subnet-1", "subnet-2"] } }
      NoContainerWithoutSecurityGroups = { Null = { "sagemaker:VpcSecurityGroupIds" = "true" } }
      NoContainerInOtherSecurityGroups = { "ForAnyValue:StringNotEquals" = { "sagemaker:VpcSecurityGroupIds" = ["sg-1"] } }
      NoContainerOnTheNetwork          = { BoolIfExists = { "sagemaker:NetworkIsolation" = "false" } }
    }
    error_message = "No model may be made outside the given subnets and security groups, or with a network; silence counts as both."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_policy.guard.policy).Statement :
      contains(statement.Action, "sagemaker:CreateProcessingJob") && contains(statement.Action, "sagemaker:CreateTrainingJob") if contains(flatten([statement.Action]), "sagemaker:CreateModel")
    ])
    error_message = "A job reads the same data as a model: it must be held to the same."
  }
}

run "denies_endpoints_in_the_clear" {
  assert {
    condition = {
      for statement in jsondecode(aws_iam_policy.guard.policy).Statement :
      statement.Sid => statement.Condition if contains(flatten([statement.Action]), "sagemaker:CreateEndpointConfig")
      } == {
      NoVolumeInTheClear = {
        Null                        = { "sagemaker:VolumeKmsKey" = "true" }
        "ForAnyValue:StringNotLike" = { "sagemaker:InstanceTypes" = [for family in sort(var.nvme_families) : "ml.${family}.*"] }
      }
      NoVolumeInTheClearAnywhere = { Null = { "sagemaker:VolumeKmsKey" = "true", "sagemaker:InstanceTypes" = "true" } }
      NoVolumeUnderAnotherKey = {
        Null         = { "sagemaker:VolumeKmsKey" = "false" }
        ArnNotEquals = { "sagemaker:VolumeKmsKey" = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111" }
      }
      NoServerlessEndpoint = { Null = { "sagemaker:ServerlessMemorySize" = "false" } }
    }
    error_message = "No endpoint may keep what it reads unencrypted, or under another key, but where the instance encrypts it itself."
  }
  assert {
    condition     = contains(var.nvme_families, "g5") && !contains(var.nvme_families, "m5")
    error_message = "g5 refuses a key, and m5 needs one."
  }
  assert {
    condition     = length(aws_iam_policy.guard.policy) <= 6144
    error_message = "IAM takes 6,144 characters of a managed policy."
  }
}

run "refuses_no_endpoint_at_all" {
  command = plan
  variables {
    endpoints = {}
  }
  expect_failures = [var.endpoints]
}

run "refuses_an_endpoint_that_sagemaker_would" {
  command = plan
  variables {
    endpoints = { "-x" = {} }
  }
  expect_failures = [var.endpoints]
}

run "refuses_endpoints_that_share_an_arn" {
  command = plan
  variables {
    endpoints = { tiny = {}, Tiny = {} }
  }
  expect_failures = [var.endpoints]
}

run "refuses_a_guardrail_that_always_fires" {
  command = plan
  variables {
    endpoints = { tiny = { max_5xx_errors = 0 } }
  }
  expect_failures = [var.endpoints]
}

run "refuses_a_negative_notice" {
  command = plan
  variables {
    endpoints = { tiny = { max_4xx_errors = -1 } }
  }
  expect_failures = [var.endpoints]
}

run "refuses_a_period_that_cloudwatch_would" {
  command = plan
  variables {
    endpoints = { tiny = { period_seconds = 45 } }
  }
  expect_failures = [var.endpoints]
}

run "refuses_everybody_as_a_caller" {
  command = plan
  variables {
    callers = ["*"]
  }
  expect_failures = [var.callers]
}

run "refuses_every_role_as_a_caller" {
  command = plan
  variables {
    callers = ["arn:aws:iam::123456789012:role/*"]
  }
  expect_failures = [var.callers]
}

run "refuses_a_vpc_as_a_vpc_endpoint" {
  command = plan
  variables {
    vpc_endpoint_id = "vpc-0123456789abcdef0"
  }
  expect_failures = [var.vpc_endpoint_id]
}

run "refuses_no_subnet" {
  command = plan
  variables {
    subnet_ids = []
  }
  expect_failures = [var.subnet_ids]
}

run "refuses_no_security_group" {
  command = plan
  variables {
    security_group_ids = []
  }
  expect_failures = [var.security_group_ids]
}

run "refuses_every_repository" {
  command = plan
  variables {
    repository_arn = "arn:aws:ecr:us-east-1:123456789012:repository/*"
  }
  expect_failures = [var.repository_arn]
}

run "refuses_an_alias_for_a_key" {
  command = plan
  variables {
    data_key_arn = "alias/lockstep-data"
  }
  expect_failures = [var.data_key_arn]
}

run "refuses_a_path_for_a_bucket" {
  command = plan
  variables {
    work_bucket_arn = "arn:aws:s3:::lockstep-work-123456789012/artifacts"
  }
  expect_failures = [var.work_bucket_arn]
}

run "refuses_a_wildcard_family" {
  command = plan
  variables {
    nvme_families = ["*"]
  }
  expect_failures = [var.nvme_families]
}

run "refuses_a_name_that_no_bucket_can_hold" {
  command = plan
  variables {
    name = "Lockstep"
  }
  expect_failures = [var.name]
}
