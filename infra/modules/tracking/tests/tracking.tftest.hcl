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
  mock_data "aws_prefix_list" {
    defaults = { id = "pl-63a5400a" }
  }
  mock_resource "aws_lb" {
    defaults = {
      arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/lockstep-tracking/0123456789abcdef"
      arn_suffix = "app/lockstep-tracking/0123456789abcdef"
    }
  }
  mock_resource "aws_lb_target_group" {
    defaults = {
      arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/lockstep-tracking/0123456789abcdef"
      arn_suffix = "targetgroup/lockstep-tracking/0123456789abcdef"
    }
  }
  mock_resource "aws_lb_listener" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/lockstep-tracking/0123456789abcdef/1" }
  }
  mock_resource "aws_lb_trust_store" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:truststore/lockstep-tracking/0123456789abcdef" }
  }
  mock_resource "aws_db_instance" {
    defaults = {
      address = "lockstep-tracking.abcdefghijkl.us-east-1.rds.amazonaws.com"
      master_user_secret = [{
        kms_key_id    = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111"
        secret_arn    = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-11111111-abcdef"
        secret_status = "active"
      }]
    }
  }
  mock_resource "aws_ecs_cluster" {
    defaults = { arn = "arn:aws:ecs:us-east-1:123456789012:cluster/lockstep-tracking" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/lockstep-tracking:1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:us-east-1:123456789012:stateMachine:lockstep-tracking-redeploy" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mocked" }
  }
}

# Another ARN than every other role's, so that a task that runs as the wrong one shows.
override_resource {
  target = aws_iam_role.this["execution"]
  values = { arn = "arn:aws:iam::123456789012:role/lockstep-tracking-execution" }
}
override_resource {
  target = aws_iam_role.this["task"]
  values = { arn = "arn:aws:iam::123456789012:role/lockstep-tracking-task" }
}

# And other ids than every other group's, so that a chain that is linked wrongly shows.
override_resource {
  target = aws_security_group.this["load_balancer"]
  values = { id = "sg-balancer" }
}
override_resource {
  target = aws_security_group.this["server"]
  values = { id = "sg-server" }
}
override_resource {
  target = aws_security_group.this["database"]
  values = { id = "sg-database" }
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

run "keeps_every_secret_out_of_plan_and_state" {
  assert {
    condition     = aws_db_instance.this.manage_master_user_password == true && nonsensitive(aws_db_instance.this.password == null) && nonsensitive(aws_db_instance.this.password_wo == null)
    error_message = "RDS must make the database's password, and Terraform must never see it."
  }
  assert {
    # Whatever is planned, attribute by attribute.
    condition = !can(regex("\"(password|password_wo|master_password|master_user_password|client_secret|secret_string|secret_binary|private_key|private_key_pem|auth_token|token)\":\"", nonsensitive(jsonencode([
      aws_db_instance.this, aws_db_parameter_group.this, aws_ecs_cluster.this, aws_ecs_service.server, aws_ecs_task_definition.server,
      aws_lb.this, aws_lb_listener.people, aws_lb_listener.machines, aws_lb_listener_rule.people, aws_lb_listener_rule.machines,
      aws_lb_trust_store.machines, aws_s3_bucket.artifacts, aws_s3_bucket_policy.artifacts, aws_iam_role_policy.this,
      aws_iam_role_policy.execution, aws_sfn_state_machine.redeploy, aws_cloudwatch_event_rule.rotated, aws_cloudwatch_event_target.rotated,
    ]))))
    error_message = "No attribute of what is planned may hold a secret."
  }
  assert {
    condition     = alltrue(flatten([for rule in aws_lb_listener_rule.people : [for action in rule.action : length(action.authenticate_oidc) == 0]]))
    error_message = "The load balancer must not be given an OIDC client's secret: it would be in the state."
  }
  assert {
    # These have a secret among their attributes, even where nobody reads it.
    condition = alltrue([
      for file in fileset(path.module, "*.tf") :
      !can(regex("(resource|data|ephemeral) \"(aws_cognito_user_pool_client|aws_cognito_user_pool_clients|aws_secretsmanager_secret_version|aws_secretsmanager_random_password|random_password|tls_private_key|aws_iam_access_key)\"", file("${path.module}/${file}")))
    ])
    error_message = "Nothing whose attributes include a secret may be made or looked up."
  }
  assert {
    condition     = output.database.secret_arn == "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-11111111-abcdef"
    error_message = "Others must be told where the password is, and no more."
  }
}

run "tells_the_server_its_password_when_it_starts_and_nobody_else" {
  assert {
    condition = jsondecode(aws_ecs_task_definition.server.container_definitions)[0].secrets == [
      { name = "PGPASSWORD", valueFrom = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-11111111-abcdef:password::" },
      { name = "PGUSER", valueFrom = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-11111111-abcdef:username::" },
    ]
    error_message = "ECS must hand over user and password from the secret that RDS keeps."
  }
  assert {
    condition     = alltrue([for variable in jsondecode(aws_ecs_task_definition.server.container_definitions)[0].environment : !can(regex("(?i)passw|secret|token|PGUSER", variable.name))])
    error_message = "Nothing secret may be among the variables that the task definition shows."
  }
  assert {
    condition     = !can(regex("://[^/\"]*@", aws_ecs_task_definition.server.container_definitions)) && contains(jsondecode(aws_ecs_task_definition.server.container_definitions)[0].command, "postgresql+psycopg2://")
    error_message = "The database's address must hold no credentials: processes and errors show it."
  }
  assert {
    condition = toset(flatten([
      for purpose, policy in merge({ for purpose, policy in aws_iam_role_policy.this : purpose => policy }, { execution = aws_iam_role_policy.execution }) : [
        for statement in jsondecode(policy.policy).Statement : "${purpose} ${statement.Resource}" if contains(flatten([statement.Action]), "secretsmanager:GetSecretValue")
      ]
    ])) == toset(["execution arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-11111111-abcdef"])
    error_message = "The execution role alone may read a secret, and that one alone: the server's own role may not."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement :
      try(statement.Condition.StringEquals, {}) == {
        "kms:ViaService"                  = "secretsmanager.us-east-1.amazonaws.com"
        "kms:EncryptionContext:SecretARN" = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-11111111-abcdef"
      } if contains(flatten([statement.Action]), "kms:Decrypt")
    ])
    error_message = "The execution role may use the data key for that secret alone."
  }
}

run "takes_up_a_rotated_password" {
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.rotated.event_pattern) == {
      source      = ["aws.secretsmanager"]
      detail-type = ["Secret Label Updated"]
      resources   = ["arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-11111111-abcdef"]
      detail      = { labelUpdated = ["AWSCURRENT"] }
    }
    error_message = "A new current version of that secret must be noticed, and no other secret's."
  }
  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.redeploy.definition).States.Redeploy.Resource == "arn:aws:states:::aws-sdk:ecs:updateService" &&
      jsondecode(aws_sfn_state_machine.redeploy.definition).States.Redeploy.Parameters == { Cluster = "lockstep-tracking", Service = "lockstep-tracking", ForceNewDeployment = true }
    )
    error_message = "It must lead to a new deployment: a task knows the password that it was started with."
  }
  assert {
    condition     = aws_cloudwatch_event_target.rotated.arn == aws_sfn_state_machine.redeploy.arn
    error_message = "The rule must start what deploys again."
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.this["redeploy"].policy).Statement : statement.Resource if contains(flatten([statement.Action]), "ecs:UpdateService")
    ] == ["arn:aws:ecs:us-east-1:123456789012:service/lockstep-tracking/lockstep-tracking"]
    error_message = "It may deploy this service, and no other."
  }
  assert {
    condition     = !one(aws_sfn_state_machine.redeploy.logging_configuration).include_execution_data
    error_message = "Execution data must stay out of the log."
  }
}

run "runs_the_server_with_nothing_it_does_not_need" {
  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.server.container_definitions) :
      container.user == "10001:10001" && container.readonlyRootFilesystem && !container.privileged &&
      container.linuxParameters.capabilities == { add = [], drop = ["ALL"] }
    ])
    error_message = "The server must not be root, must not change its image, and must have no capability."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.server.container_definitions)[0].mountPoints == [{ sourceVolume = "scratch", containerPath = "/tmp", readOnly = false }] && one(aws_ecs_task_definition.server.volume).name == "scratch"
    error_message = "It may write to /tmp alone, which ends with the task."
  }
  assert {
    condition     = one(aws_ecs_task_definition.server.volume).host_path == null || one(aws_ecs_task_definition.server.volume).host_path == ""
    error_message = "It may see nothing of a host."
  }
  assert {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", jsondecode(aws_ecs_task_definition.server.container_definitions)[0].image))
    error_message = "The image must be what was scanned, whatever a tag says today."
  }
  assert {
    condition     = aws_ecs_task_definition.server.network_mode == "awsvpc" && one(aws_ecs_service.server.network_configuration).assign_public_ip == false && toset(one(aws_ecs_service.server.network_configuration).subnets) == toset(["subnet-private-1", "subnet-private-2"])
    error_message = "Tasks must run in the private subnets and have no public address."
  }
  assert {
    condition     = aws_ecs_service.server.enable_execute_command == false
    error_message = "Nobody may open a shell in a task: its environment holds the database's password."
  }
  assert {
    condition     = one(aws_ecs_cluster.this.setting).name == "containerInsights" && one(aws_ecs_cluster.this.setting).value == "enabled"
    error_message = "The cluster must be measured."
  }
  assert {
    condition     = one(one(aws_ecs_cluster.this.configuration).managed_storage_configuration).fargate_ephemeral_storage_kms_key_id == var.data_key_arn
    error_message = "What passes through a task's scratch space must be encrypted with the data key."
  }
  assert {
    condition = alltrue([
      for name, value in { MLFLOW_SERVER_ALLOWED_HOSTS = "tracking.example.com,tracking.example.com:8443", MLFLOW_SERVER_CORS_ALLOWED_ORIGINS = "https://tracking.example.com", MLFLOW_S3_EXPECTED_BUCKET_OWNER = "123456789012", MLFLOW_SERVER_ENABLE_JOB_EXECUTION = "false" } :
      contains(jsondecode(aws_ecs_task_definition.server.container_definitions)[0].environment, { name = name, value = value })
    ])
    error_message = "The server must refuse other names and origins, another account's bucket, and jobs."
  }
}

run "comes_back_from_a_bad_deployment" {
  assert {
    condition     = one(aws_ecs_service.server.deployment_circuit_breaker).enable && one(aws_ecs_service.server.deployment_circuit_breaker).rollback
    error_message = "A deployment that does not come up must be rolled back."
  }
  assert {
    condition     = aws_ecs_service.server.desired_count == 2 && aws_ecs_service.server.deployment_minimum_healthy_percent == 100 && aws_ecs_service.server.availability_zone_rebalancing == "ENABLED"
    error_message = "There must be a task in each of two zones, during a deployment too."
  }
  assert {
    condition     = aws_appautoscaling_target.server.min_capacity == 2 && aws_appautoscaling_target.server.max_capacity == 4 && aws_appautoscaling_target.server.resource_id == "service/lockstep-tracking/lockstep-tracking"
    error_message = "The number of tasks must follow their work, within bounds."
  }
}

run "separates_what_starts_the_server_from_what_it_may_do" {
  assert {
    condition     = aws_ecs_task_definition.server.execution_role_arn == "arn:aws:iam::123456789012:role/lockstep-tracking-execution" && aws_ecs_task_definition.server.task_role_arn == "arn:aws:iam::123456789012:role/lockstep-tracking-task"
    error_message = "The task must run as the task's role, and be started as the execution role."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.this["task"].policy).Statement : [
        for pair in setproduct(flatten([statement.Action]), flatten([statement.Resource])) : join(" ", pair)
      ]
      ])) == toset([
      "kms:Decrypt arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111",
      "kms:GenerateDataKey arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111",
      "s3:AbortMultipartUpload arn:aws:s3:::lockstep-tracking-123456789012/artifacts/*",
      "s3:GetObject arn:aws:s3:::lockstep-tracking-123456789012/artifacts/*",
      "s3:ListBucket arn:aws:s3:::lockstep-tracking-123456789012",
      "s3:ListMultipartUploadParts arn:aws:s3:::lockstep-tracking-123456789012/artifacts/*",
      "s3:PutObject arn:aws:s3:::lockstep-tracking-123456789012/artifacts/*",
    ])
    error_message = "The server may read, list and write artefacts, and nothing else: it deletes none."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this["task"].policy).Statement :
      try(statement.Condition.StringEquals["kms:ViaService"], "") == "s3.us-east-1.amazonaws.com" && try(statement.Condition.StringEquals["kms:EncryptionContext:aws:s3:arn"], "") == "arn:aws:s3:::lockstep-tracking-123456789012"
      if anytrue([for action in flatten([statement.Action]) : startswith(action, "kms:")])
    ])
    error_message = "The server may use the data key for its own bucket alone: other data is encrypted with it too."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : [for resource in flatten([statement.Resource]) : resource] if anytrue([for action in flatten([statement.Action]) : startswith(action, "ecr:Batch")])
    ])) == toset(["arn:aws:ecr:us-east-1:123456789012:repository/lockstep/tracking"])
    error_message = "The execution role may pull the server's image and no other."
  }
  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_role_policy.this), [aws_iam_role_policy.execution]) : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in flatten([statement.Action]) : !strcontains(action, "*") && (!contains(flatten([statement.Resource]), "*") || contains([
            "ecr:GetAuthorizationToken",
            "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
            "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
          ], action))
        ]
      ]
    ]))
    error_message = "Actions must be named one by one, and reach every resource only if they know none."
  }
  assert {
    condition = alltrue([
      for role in aws_iam_role.this : alltrue([
        for statement in jsondecode(role.assume_role_policy).Statement :
        try(statement.Condition.StringEquals["aws:SourceAccount"], "") == "123456789012" && can(statement.Condition.ArnLike["aws:SourceArn"])
      ])
    ]) && toset(keys(aws_iam_role.this)) == toset(["execution", "task", "monitoring", "redeploy", "events"])
    error_message = "A service may take on a role for this account's own resources only."
  }
}

run "bounds_its_roles_if_told_to" {
  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.this : role.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"])
    error_message = "Every role must be under the boundary."
  }
}

run "lets_nobody_in_who_has_not_signed_in" {
  assert {
    condition     = aws_lb.this.internal && aws_lb.this.drop_invalid_header_fields && aws_lb.this.desync_mitigation_mode == "strictest" && aws_lb.this.enable_deletion_protection
    error_message = "The load balancer must have private addresses, refuse what it cannot parse, and not be deleted by mistake."
  }
  assert {
    condition = alltrue([
      for listener in concat([aws_lb_listener.people], aws_lb_listener.machines) :
      listener.protocol == "HTTPS" && listener.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-Res-2021-06" && listener.certificate_arn == var.certificate_arn && !contains([80, 8080], listener.port)
    ])
    error_message = "Every listener must speak TLS 1.2 or 1.3, and none HTTP."
  }
  assert {
    condition     = alltrue([for listener in concat([aws_lb_listener.people], aws_lb_listener.machines) : alltrue([for action in listener.default_action : action.type == "fixed-response"])])
    error_message = "What no rule lets through must be answered by the load balancer itself."
  }
  assert {
    condition = alltrue([
      for rule in aws_lb_listener_rule.people :
      [for action in rule.action : action.type if action.order == 1] == ["authenticate-cognito"] && [for action in rule.action : action.type if action.order == 2] == ["forward"]
    ])
    error_message = "On the people's listener, nothing may be forwarded before it was authenticated."
  }
  assert {
    condition = alltrue([
      for rule in aws_lb_listener_rule.people :
      contains(flatten([for condition in rule.condition : [for header in condition.host_header : header.values]]), "tracking.example.com")
    ])
    error_message = "A request for another name may not reach the server."
  }
  assert {
    condition = (
      one(aws_lb_listener_rule.people["api"].action[0].authenticate_cognito).on_unauthenticated_request == "deny" &&
      one(aws_lb_listener_rule.people["pages"].action[0].authenticate_cognito).on_unauthenticated_request == "authenticate" &&
      aws_lb_listener_rule.people["api"].priority < aws_lb_listener_rule.people["pages"].priority
    )
    error_message = "A script without a session must be denied, a page sent to sign in: the API's rule comes first."
  }
  assert {
    condition     = one(aws_lb.this.access_logs).enabled && one(aws_lb.this.connection_logs).enabled && one(aws_lb.this.access_logs).bucket == "lockstep-access-logs-123456789012" && one(aws_lb.this.access_logs).prefix != one(aws_lb.this.connection_logs).prefix
    error_message = "Requests, and handshakes that became none, must be logged."
  }
}

run "lets_programs_in_by_certificate_and_to_write_runs_only" {
  assert {
    condition = alltrue([
      for listener in aws_lb_listener.machines :
      one(listener.mutual_authentication).mode == "verify" && one(listener.mutual_authentication).trust_store_arn == aws_lb_trust_store.machines[0].arn && one(listener.mutual_authentication).ignore_client_certificate_expiry == false
    ])
    error_message = "A program must show a certificate that is trusted and has not expired."
  }
  assert {
    condition     = aws_lb_trust_store.machines[0].ca_certificates_bundle_s3_object_version == "v1" && one(values(aws_lb_trust_store_revocation.machines)).revocations_s3_object_version == "v7"
    error_message = "Whom to trust, and whom no longer, must be read by version."
  }
  assert {
    condition = toset([for rule in aws_vpc_security_group_ingress_rule.machines : "${rule.referenced_security_group_id} ${rule.from_port}-${rule.to_port}"]) == toset(["sg-functions 8443-8443", "sg-jobs 8443-8443"]) && alltrue([
      for rule in aws_vpc_security_group_ingress_rule.machines : rule.security_group_id == "sg-balancer" && rule.cidr_ipv4 == null
    ])
    error_message = "Programs must come from a named group as well."
  }
  assert {
    condition = !anytrue(flatten([
      for rule in aws_lb_listener_rule.machines : [
        for condition in rule.condition : [
          for pattern in condition.path_pattern : [
            for path in pattern.values : can(regex("delete|alias|transition|restore|presigned|mpu|users|permissions|get-artifact|graphql|ajax-api|gateway|^/\\*$|^/api/\\*$|^/api/2.0/mlflow/\\*$", path))
          ]
        ]
      ]
    ]))
    error_message = "Programs may neither delete nor promote, nor be sent past the server, nor use what pages use."
  }
  assert {
    # A pattern that matches more than one path could match a deletion by method.
    condition = alltrue([
      for rule in aws_lb_listener_rule.machines :
      !anytrue(flatten([for condition in rule.condition : [for pattern in condition.path_pattern : [for path in pattern.values : strcontains(path, "*")]]])) || (
        length(flatten([for condition in rule.condition : [for method in condition.http_request_method : method.values]])) > 0 &&
        !contains(flatten([for condition in rule.condition : [for method in condition.http_request_method : method.values]]), "DELETE")
      )
    ])
    error_message = "Where a pattern stands for many paths, the methods must be named, and DELETE not among them."
  }
  assert {
    condition = alltrue([
      for rule in aws_lb_listener_rule.machines :
      sum([for condition in rule.condition : length(flatten([for pattern in condition.path_pattern : pattern.values])) + length(flatten([for method in condition.http_request_method : method.values]))]) <= 5
    ]) && length(aws_lb_listener_rule.machines) + length(aws_lb_listener_rule.people) < 100
    error_message = "A rule takes five values, and a load balancer a hundred rules."
  }
  assert {
    condition = alltrue([
      for call in ["runs/create", "runs/log-batch", "runs/update", "experiments/create", "experiments/get-by-name", "model-versions/create"] : contains(flatten([
        for rule in aws_lb_listener_rule.machines : [for condition in rule.condition : [for pattern in condition.path_pattern : pattern.values]]
      ]), "/api/2.0/mlflow/${call}")
    ])
    error_message = "Programs must be able to write a run from its creation to its end."
  }
  assert {
    condition     = output.machine_url == "https://tracking.example.com:8443"
    error_message = "Programs must be told their address."
  }
}

run "opens_nothing_for_programs_if_there_are_none" {
  variables {
    machines = null
  }

  assert {
    condition     = length(aws_lb_listener.machines) + length(aws_lb_listener_rule.machines) + length(aws_vpc_security_group_ingress_rule.machines) + length(aws_vpc_security_group_egress_rule.machines) + length(aws_lb_trust_store.machines) == 0 && output.machine_url == null
    error_message = "Without programs there must be no second way in."
  }
  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "certificates")
    error_message = "Nor an alarm for what nobody shows."
  }
}

run "lets_each_part_talk_to_the_next_and_no_other" {
  assert {
    condition = toset([
      for rule in concat(
        [aws_vpc_security_group_ingress_rule.server_from_load_balancer, aws_vpc_security_group_ingress_rule.database_from_server, aws_vpc_security_group_ingress_rule.endpoints_from_server],
      ) : "${rule.referenced_security_group_id} -> ${rule.security_group_id} ${rule.from_port}-${rule.to_port} ${rule.ip_protocol}"
    ]) == toset(["sg-balancer -> sg-server 5000-5000 tcp", "sg-server -> sg-database 5432-5432 tcp", "sg-server -> sg-endpoints 443-443 tcp"])
    error_message = "The server must hear the load balancer alone, and the database the server alone."
  }
  assert {
    condition = toset([
      for rule in [aws_vpc_security_group_egress_rule.load_balancer_to_server, aws_vpc_security_group_egress_rule.server_to_database, aws_vpc_security_group_egress_rule.server_to_endpoints, aws_vpc_security_group_egress_rule.server_to_s3] :
      "${rule.security_group_id} -> ${coalesce(rule.referenced_security_group_id, rule.prefix_list_id)} ${rule.from_port}-${rule.to_port} ${rule.ip_protocol}"
    ]) == toset(["sg-balancer -> sg-server 5000-5000 tcp", "sg-server -> sg-database 5432-5432 tcp", "sg-server -> sg-endpoints 443-443 tcp", "sg-server -> pl-63a5400a 443-443 tcp"])
    error_message = "The server must reach the database, AWS's endpoints and S3, and nothing else."
  }
  assert {
    condition     = alltrue([for group in aws_security_group.this : length(group.ingress) == 0 && length(group.egress) == 0])
    error_message = "Rules must be resources of their own: one in a group would undo the others."
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.people : "${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}"] == ["10.8.0.0/16 443-443"]
    error_message = "People must come from where they are said to, over TLS."
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_egress_rule.sign_in : rule.from_port == 443 && rule.to_port == 443 && rule.security_group_id == "sg-balancer"])
    error_message = "The load balancer alone may leave the VPC, to redeem a sign-in."
  }
  assert {
    condition     = toset(output.endpoint_services) == toset(["ecr.api", "ecr.dkr", "logs", "s3", "secretsmanager"])
    error_message = "The network must be told which endpoints the tasks need."
  }
}

run "keeps_the_database_private_encrypted_and_recoverable" {
  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == var.data_key_arn && aws_db_instance.this.master_user_secret_kms_key_id == var.data_key_arn && aws_db_instance.this.performance_insights_enabled && aws_db_instance.this.performance_insights_kms_key_id == var.data_key_arn
    error_message = "Data, password and what Performance Insights sees must be encrypted with the data key."
  }
  assert {
    condition     = !aws_db_instance.this.publicly_accessible && toset(aws_db_instance.this.vpc_security_group_ids) == toset(["sg-database"]) && toset(aws_db_subnet_group.this.subnet_ids) == toset(["subnet-private-1", "subnet-private-2"])
    error_message = "The database must be in the private subnets and in its own group."
  }
  assert {
    condition     = aws_db_instance.this.multi_az && aws_db_instance.this.backup_retention_period == 14 && aws_db_instance.this.copy_tags_to_snapshot && aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot && !aws_db_instance.this.delete_automated_backups
    error_message = "The database must survive a zone, a week's mistake and its own deletion."
  }
  assert {
    condition     = can(regex("^lockstep-tracking-[0-9]{14}$", aws_db_instance.this.final_snapshot_identifier))
    error_message = "Its last snapshot must have a name that no earlier database's has."
  }
  assert {
    condition = { for parameter in aws_db_parameter_group.this.parameter : parameter.name => parameter.value } == {
      "rds.force_ssl" = "1", ssl_min_protocol_version = "TLSv1.2", log_statement = "none", log_connections = "1", log_disconnections = "1", log_lock_waits = "1",
    }
    error_message = "The database must refuse what is not TLS, log who connects, and log no statement: a role's new password would be in it."
  }
  assert {
    condition = alltrue([
      for name, value in { PGSSLMODE = "verify-full", PGSSLROOTCERT = "/etc/ssl/certs/rds-global-bundle.pem", PGHOST = "lockstep-tracking.abcdefghijkl.us-east-1.rds.amazonaws.com" } :
      contains(jsondecode(aws_ecs_task_definition.server.container_definitions)[0].environment, { name = name, value = value })
    ])
    error_message = "The server must make sure that it is RDS that it tells the password."
  }
  assert {
    condition     = aws_db_instance.this.iam_database_authentication_enabled && aws_db_instance.this.auto_minor_version_upgrade && !aws_db_instance.this.allow_major_version_upgrade && aws_db_instance.this.engine_version == "17"
    error_message = "People must be able to connect with IAM, and minor versions must come by themselves."
  }
  assert {
    condition     = toset(aws_db_instance.this.enabled_cloudwatch_logs_exports) == toset(["postgresql", "upgrade"]) && aws_db_instance.this.monitoring_interval == 60
    error_message = "Its logs must leave it, and its machine be measured."
  }
}

run "keeps_artefacts_private_encrypted_and_undeleted" {
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.artifacts.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" && one(one(aws_s3_bucket_server_side_encryption_configuration.artifacts.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.data_key_arn && one(aws_s3_bucket_server_side_encryption_configuration.artifacts.rule).bucket_key_enabled
    error_message = "Artefacts must be encrypted with the data key; the task role's grant counts on a bucket key."
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.artifacts.block_public_acls && aws_s3_bucket_public_access_block.artifacts.block_public_policy && aws_s3_bucket_public_access_block.artifacts.ignore_public_acls && aws_s3_bucket_public_access_block.artifacts.restrict_public_buckets
    error_message = "Public access must be blocked, in all four ways."
  }
  assert {
    condition     = one(aws_s3_bucket_versioning.artifacts.versioning_configuration).status == "Enabled" && one(aws_s3_bucket_ownership_controls.artifacts.rule).object_ownership == "BucketOwnerEnforced" && aws_s3_bucket_logging.artifacts.target_bucket == "lockstep-access-logs-123456789012" && aws_s3_bucket_logging.artifacts.target_prefix == "s3/" && one(one(aws_s3_bucket_logging.artifacts.target_object_key_format).partitioned_prefix).partition_date_source == "EventTime"
    error_message = "Artefacts must be versioned, have no owner of their own, and every access be logged where the audit looks for it."
  }
  assert {
    condition = alltrue([
      for sid in ["SpeakTlsOnly", "WriteAsTheServerOnly", "EncryptAsTheBucketDoes", "NeverDelete"] :
      length([for statement in jsondecode(aws_s3_bucket_policy.artifacts.policy).Statement : statement if statement.Sid == sid && statement.Effect == "Deny" && statement.Principal == "*"]) == 1
    ])
    error_message = "The bucket must deny what is not TLS, other writers, other encryption, and deletion."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.artifacts.policy).Statement :
      statement.Effect == "Deny" && statement.Action == "s3:*" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false" && length(statement.Resource) == 2
    ])
    error_message = "What is denied must be what does not come over TLS, to the bucket and to all in it."
  }
  assert {
    # A denial of what is *not* our key would deny a request without the header too, and so every one of the server's.
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.artifacts.policy).Statement :
      statement.Condition == { Null = { "s3:x-amz-server-side-encryption" = "false" } } if statement.Sid == "EncryptAsTheBucketDoes"
    ])
    error_message = "The server, which names no encryption, must be able to write."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.artifacts.policy).Statement :
      try(statement.Condition.ArnNotLike["aws:PrincipalArn"], []) == ["arn:aws:iam::123456789012:role/lockstep-tracking-task", "arn:aws:sts::123456789012:assumed-role/lockstep-tracking-task/*"]
      if statement.Sid == "WriteAsTheServerOnly"
    ])
    error_message = "The server alone may write."
  }
  assert {
    condition     = length([for rule in aws_s3_bucket_lifecycle_configuration.artifacts.rule : rule if length(rule.expiration) > 0]) == 0 && length([for rule in aws_s3_bucket_lifecycle_configuration.artifacts.rule : rule if rule.status != "Enabled"]) == 0
    error_message = "Nothing that is current may expire."
  }
}

run "encrypts_logs_and_ends_them" {
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.retention_in_days == 90 && group.kms_key_id == var.data_key_arn])
    error_message = "Logs must be encrypted and kept for 90 days."
  }
  assert {
    condition = toset(values(output.log_groups)) == toset([
      "/aws/ecs/lockstep-tracking", "/aws/ecs/containerinsights/lockstep-tracking/performance", "/aws/rds/instance/lockstep-tracking/postgresql",
      "/aws/rds/instance/lockstep-tracking/upgrade", "/aws/vendedlogs/states/lockstep-tracking-redeploy",
    ])
    error_message = "The groups must be the ones that ECS, Container Insights, RDS and Step Functions write to."
  }
  assert {
    condition     = alltrue([for name in values(output.log_groups) : can(regex("^/aws/.*/lockstep-.*$", name))])
    error_message = "The data key's policy lets CloudWatch Logs encrypt `/aws/*/<name>-*` only."
  }
}

run "says_when_something_is_wrong" {
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : toset(alarm.alarm_actions) == toset([var.topic_arn]) && toset(alarm.ok_actions) == toset([var.topic_arn]) && alarm.alarm_description != ""])
    error_message = "Every alarm must tell somebody when it fires and when it clears."
  }
  assert {
    condition = {
      for key, alarm in aws_cloudwatch_metric_alarm.this : key => "${alarm.namespace} ${alarm.metric_name} ${alarm.statistic} ${alarm.threshold} ${alarm.period}x${alarm.evaluation_periods} ${alarm.treat_missing_data}"
      } == {
      certificates         = "AWS/ApplicationELB ClientTLSNegotiationErrorCount Sum 20 300x1 notBreaching"
      database-connections = "AWS/RDS DatabaseConnections Maximum 120 300x1 notBreaching"
      database-cpu         = "AWS/RDS CPUUtilization Average 80 300x3 notBreaching"
      database-storage     = "AWS/RDS FreeStorageSpace Minimum 5368709120 300x2 breaching"
      load-balancer-5xx    = "AWS/ApplicationELB HTTPCode_ELB_5XX_Count Sum 10 300x1 notBreaching"
      no-server            = "AWS/ApplicationELB HealthyHostCount Minimum 1 60x3 breaching"
      redeploy             = "AWS/States ExecutionsFailed Sum 0 300x1 notBreaching"
      redeploy-not-started = "AWS/Events FailedInvocations Sum 0 300x1 notBreaching"
      server-5xx           = "AWS/ApplicationELB HTTPCode_Target_5XX_Count Sum 10 300x1 notBreaching"
      service-cpu          = "AWS/ECS CPUUtilization Average 85 300x3 notBreaching"
      service-memory       = "AWS/ECS MemoryUtilization Average 85 300x3 notBreaching"
      sign-in              = "AWS/ApplicationELB ELBAuthError Sum 5 300x1 notBreaching"
      unhealthy-server     = "AWS/ApplicationELB UnHealthyHostCount Maximum 0 60x10 notBreaching"
    }
    error_message = "Each alarm must watch its metric, over its period, with its rule for silence; storage is counted in bytes."
  }
  assert {
    condition     = toset([for key, alarm in aws_cloudwatch_metric_alarm.this : key if alarm.comparison_operator == "LessThanThreshold"]) == toset(["no-server", "database-storage"])
    error_message = "Too few servers and too little storage are what to fear; of the rest, too much."
  }
  assert {
    condition = aws_cloudwatch_metric_alarm.this["service-cpu"].dimensions == tomap({ ClusterName = "lockstep-tracking", ServiceName = "lockstep-tracking" }) && aws_cloudwatch_metric_alarm.this["database-cpu"].dimensions == tomap({ DBInstanceIdentifier = "lockstep-tracking" }) && aws_cloudwatch_metric_alarm.this["no-server"].dimensions == tomap({
      LoadBalancer = "app/lockstep-tracking/0123456789abcdef", TargetGroup = "targetgroup/lockstep-tracking/0123456789abcdef",
    })
    error_message = "An alarm on dimensions that nothing sends never fires."
  }
}

run "gives_the_dashboard_widgets_that_it_can_append" {
  assert {
    condition = length(output.widgets) == 7 && alltrue([
      for widget in output.widgets : contains(["metric", "text"], widget.type) && widget.width <= 24 && !can(widget.x) && !can(widget.y)
    ])
    error_message = "Widgets must have a kind and a size, and leave their place to the dashboard."
  }
  assert {
    condition = alltrue(flatten([
      for widget in output.widgets : [for metric in try(widget.properties.metrics, []) : length(metric) % 2 == 1 && can(metric[length(metric) - 1].stat)]
    ]))
    error_message = "A metric is a namespace, a name, pairs of dimensions, and how it is drawn."
  }
  assert {
    condition     = contains([for widget in output.widgets : try(widget.properties.metrics[0][1], "")], "FreeStorageSpace")
    error_message = "The database's storage must be among them."
  }
}

run "tells_its_neighbours_what_their_policies_must_say" {
  assert {
    condition = alltrue([
      for statement in output.data_key_statements :
      statement.Principal.Service == "fargate.amazonaws.com" && statement.Condition.StringEquals["kms:EncryptionContext:aws:ecs:clusterName"] == "lockstep-tracking" && statement.Condition.StringEquals["kms:EncryptionContext:aws:ecs:clusterAccount"] == "123456789012"
    ]) && toset(output.data_key_statements[*].Action) == toset(["kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"])
    error_message = "Fargate may use the data key for this cluster's scratch space only."
  }
  assert {
    condition     = alltrue([for statement in output.access_log_statements : statement.Action == "s3:PutObject" && alltrue([for resource in flatten([statement.Resource]) : startswith(resource, "arn:aws:s3:::lockstep-access-logs-123456789012/") && strcontains(resource, "lockstep-tracking")])])
    error_message = "This load balancer and this bucket may write logs, and each to its own place."
  }
  assert {
    condition = [for statement in output.access_log_statements : statement.Resource if statement.Principal.Service == "logdelivery.elasticloadbalancing.amazonaws.com"] == [[
      "arn:aws:s3:::lockstep-access-logs-123456789012/load-balancer-connections/lockstep-tracking/AWSLogs/123456789012/*",
      "arn:aws:s3:::lockstep-access-logs-123456789012/load-balancer/lockstep-tracking/AWSLogs/123456789012/*",
    ]]
    error_message = "A load balancer's logs must lie under this account: the path is what says whose they are."
  }
  assert {
    condition     = toset(output.image_pullers) == toset(["arn:aws:iam::123456789012:role/lockstep-tracking-execution", "arn:aws:sts::123456789012:assumed-role/lockstep-tracking-execution/*"])
    error_message = "The registry must be told who pulls the image."
  }
}

run "gives_up_its_data_if_told_to" {
  variables {
    deletion_protection = false
    force_destroy       = true
  }

  assert {
    condition     = aws_s3_bucket.artifacts.force_destroy && aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.delete_automated_backups && !aws_db_instance.this.deletion_protection && !aws_lb.this.enable_deletion_protection
    error_message = "An environment to throw away must go without a trace."
  }
  assert {
    condition     = !anytrue([for statement in jsondecode(aws_s3_bucket_policy.artifacts.policy).Statement : statement.Sid == "NeverDelete"])
    error_message = "Terraform must be able to empty the bucket then."
  }
}

run "faces_the_internet_behind_a_web_acl" {
  variables {
    internal     = false
    people_cidrs = ["0.0.0.0/0"]
    web_acl_arn  = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/lockstep/33333333-3333-4333-8333-333333333333"
    zone_id      = "Z0123456789"
  }

  assert {
    condition     = !aws_lb.this.internal && one(aws_wafv2_web_acl_association.this).resource_arn == aws_lb.this.arn && one(aws_wafv2_web_acl_association.this).web_acl_arn == var.web_acl_arn
    error_message = "The web ACL must be in front of it."
  }
  assert {
    condition     = one(aws_route53_record.this).name == "tracking.example.com"
    error_message = "The name must lead to it."
  }
}

run "reads_the_repository_of_other_partitions" {
  variables {
    image = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/a/tracking@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Resource], "arn:aws:ecr:cn-north-1:123456789012:repository/team/a/tracking")
    error_message = "The repository's region and name must be the image's."
  }
}
