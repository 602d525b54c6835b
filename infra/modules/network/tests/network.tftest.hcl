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
  mock_data "aws_availability_zones" {
    defaults = { names = ["us-east-1c", "us-east-1a", "us-east-1b"] }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mocked" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_networkfirewall_rule_group" {
    defaults = { arn = "arn:aws:network-firewall:us-east-1:123456789012:stateful-rulegroup/mocked" }
  }
  mock_resource "aws_networkfirewall_firewall_policy" {
    defaults = { arn = "arn:aws:network-firewall:us-east-1:123456789012:firewall-policy/mocked" }
  }
  mock_resource "aws_networkfirewall_firewall" {
    defaults = {
      arn = "arn:aws:network-firewall:us-east-1:123456789012:firewall/mocked"
      firewall_status = [{
        sync_states = [
          { availability_zone = "us-east-1a", attachment = [{ endpoint_id = "vpce-0000000000000000a", subnet_id = "subnet-a" }] },
          { availability_zone = "us-east-1b", attachment = [{ endpoint_id = "vpce-0000000000000000b", subnet_id = "subnet-b" }] },
        ]
      }]
    }
  }
}

# Told apart, so that a rule towards the wrong one shows.
override_resource {
  target = aws_vpc_endpoint.gateway["s3"]
  values = { id = "vpce-s3", prefix_list_id = "pl-s3" }
}
override_resource {
  target = aws_vpc_endpoint.gateway["dynamodb"]
  values = { id = "vpce-dynamodb", prefix_list_id = "pl-dynamodb" }
}
override_resource {
  target = aws_security_group.this["functions"]
  values = { id = "sg-functions" }
}
override_resource {
  target = aws_security_group.this["jobs"]
  values = { id = "sg-jobs" }
}
override_resource {
  target = aws_security_group.this["endpoints"]
  values = { id = "sg-endpoints" }
}
override_resource {
  target = aws_security_group.this["downloads"]
  values = { id = "sg-downloads" }
}
override_resource {
  target = aws_security_group.this["vpc_endpoints"]
  values = { id = "sg-vpc-endpoints" }
}

variables {
  data_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111"
}

run "leads_nowhere_by_default" {
  assert {
    condition     = length(aws_internet_gateway.this) == 0 && length(aws_nat_gateway.this) == 0 && length(aws_networkfirewall_firewall.this) == 0
    error_message = "Unless it is asked for, nothing may lead out of the VPC."
  }
  assert {
    condition     = length(aws_route.downloads_to_firewall) + length(aws_route.firewall_to_nat) + length(aws_route.nat_to_internet) + length(aws_route.nat_to_firewall) == 0
    error_message = "No table may have a route but the VPC's own and the gateways'."
  }
  assert {
    condition     = toset([for association in aws_route_table_association.private : association.route_table_id]) == toset([aws_route_table.private.id])
    error_message = "The private subnets must use the table without a default route."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.private : !subnet.map_public_ip_on_launch])
    error_message = "Nothing in a private subnet may get a public address."
  }
  assert {
    condition     = output.download_vpc_config == null && !contains(keys(output.security_group_ids), "downloads")
    error_message = "Without an inspected way out, download-model must not be placed inside."
  }
}

run "spans_two_zones_that_do_not_move" {
  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { us-east-1a = "10.42.0.0/19", us-east-1b = "10.42.32.0/19" }
    error_message = "Without `zones`, the first two by name must be taken, whatever order the account lists them in."
  }
  assert {
    condition     = length(output.private_subnet_ids) == 2 && aws_vpc.this.enable_dns_support && aws_vpc.this.enable_dns_hostnames
    error_message = "There must be a subnet in each zone, and endpoints must answer to the services' own names."
  }
}

run "overlaps_nowhere_in_the_smallest_network_with_three_zones" {
  variables {
    cidr                = "172.20.16.0/20"
    zones               = ["us-east-1a", "us-east-1b", "us-east-1c"]
    hub_egress          = "outside"
    interface_endpoints = []
  }

  assert {
    condition = length(distinct(concat(
      [for subnet in aws_subnet.private : subnet.cidr_block],
      flatten([for tier in ["downloads", "firewall", "nat"] : values(local.egress_cidrs[tier])]),
    ))) == 12 && alltrue([for subnet in aws_subnet.private : subnet.cidr_block != cidrsubnet("172.20.16.0/20", 3, 7)])
    error_message = "The private subnets and the ones that reach the internet must not share an address."
  }
  assert {
    condition     = toset([for cidr in flatten([for tier in ["downloads", "firewall", "nat"] : values(local.egress_cidrs[tier])]) : split("/", cidr)[1]]) == toset(["27"])
    error_message = "AWS makes no subnet smaller than /28."
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && keys(output.vpc_endpoint_ids) == ["dynamodb", "s3"]
    error_message = "Without interface endpoints there must be none, and still both gateways."
  }
}

run "closes_what_aws_makes_with_a_vpc" {
  assert {
    condition     = length(aws_default_security_group.closed.ingress) == 0 && length(aws_default_security_group.closed.egress) == 0
    error_message = "The default security group must let nothing through."
  }
  assert {
    condition     = length(aws_default_network_acl.closed.ingress) == 0 && length(aws_default_network_acl.closed.egress) == 0
    error_message = "The default network ACL must let nothing through."
  }
  assert {
    condition     = length(aws_default_route_table.closed.route) == 0
    error_message = "The default route table must lead nowhere."
  }
}

run "lets_each_group_reach_its_endpoints_and_nothing_else" {
  assert {
    condition = toset([
      for rule in concat(values(aws_vpc_security_group_egress_rule.vpc_endpoints), values(aws_vpc_security_group_egress_rule.gateways)) :
      "${rule.security_group_id} ${rule.ip_protocol} ${rule.from_port}-${rule.to_port} ${rule.referenced_security_group_id != null ? rule.referenced_security_group_id : rule.prefix_list_id}"
      ]) == toset([
      "sg-functions tcp 443-443 sg-vpc-endpoints", "sg-functions tcp 443-443 pl-s3", "sg-functions tcp 443-443 pl-dynamodb",
      "sg-jobs tcp 443-443 sg-vpc-endpoints", "sg-jobs tcp 443-443 pl-s3",
      "sg-endpoints tcp 443-443 sg-vpc-endpoints", "sg-endpoints tcp 443-443 pl-s3",
    ])
    error_message = "Out of each group, only TLS to the interface endpoints and to its gateways may go."
  }
  assert {
    condition = toset([
      for rule in aws_vpc_security_group_ingress_rule.vpc_endpoints :
      "${rule.security_group_id} ${rule.ip_protocol} ${rule.from_port}-${rule.to_port} ${rule.referenced_security_group_id}"
      ]) == toset([
      "sg-vpc-endpoints tcp 443-443 sg-functions", "sg-vpc-endpoints tcp 443-443 sg-jobs", "sg-vpc-endpoints tcp 443-443 sg-endpoints",
    ])
    error_message = "Into the interface endpoints, only TLS from the three groups may come; into the groups, nothing."
  }
  assert {
    condition = alltrue([
      for rule in concat(values(aws_vpc_security_group_egress_rule.vpc_endpoints), values(aws_vpc_security_group_egress_rule.gateways)) :
      rule.cidr_ipv4 == null && rule.cidr_ipv6 == null
    ])
    error_message = "No group may name addresses."
  }
  assert {
    condition     = alltrue([for group in aws_security_group.this : length(group.ingress) == 0 && length(group.egress) == 0])
    error_message = "Rules must be resources of their own: a second plan would differ."
  }
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.between_jobs) + length(aws_vpc_security_group_egress_rule.between_jobs) + length(aws_vpc_security_group_egress_rule.downloads) == 0
    error_message = "Jobs must not talk to each other, and nobody may reach every address, unless it is asked for."
  }
}

run "walls_the_subnets_too" {
  assert {
    condition = toset([for rule in aws_network_acl.private.ingress : "${rule.action} ${rule.protocol} ${rule.cidr_block} ${rule.from_port}-${rule.to_port}"]) == toset([
      "allow tcp 10.42.0.0/16 443-443", "allow tcp 0.0.0.0/0 1024-65535",
    ])
    error_message = "Into the private subnets, only TLS to the interface endpoints and answers may come."
  }
  assert {
    condition = toset([for rule in aws_network_acl.private.egress : "${rule.action} ${rule.protocol} ${rule.cidr_block} ${rule.from_port}-${rule.to_port}"]) == toset([
      "allow tcp 0.0.0.0/0 443-443", "allow tcp 10.42.0.0/16 1024-65535",
    ])
    error_message = "Out of the private subnets, only TLS and the endpoints' answers may go."
  }
  assert {
    condition     = length(aws_network_acl.private.subnet_ids) == 2
    error_message = "Every private subnet must stand behind the ACL."
  }
}

run "lets_a_jobs_instances_talk_if_told_to" {
  variables {
    distributed_training = true
  }

  assert {
    condition = alltrue([
      for rule in concat(aws_vpc_security_group_ingress_rule.between_jobs, aws_vpc_security_group_egress_rule.between_jobs) :
      rule.security_group_id == "sg-jobs" && rule.referenced_security_group_id == "sg-jobs" && rule.ip_protocol == "-1"
    ]) && length(aws_vpc_security_group_ingress_rule.between_jobs) == 1 && length(aws_vpc_security_group_egress_rule.between_jobs) == 1
    error_message = "Jobs must reach jobs by any protocol, and nobody else."
  }
  assert {
    condition = alltrue([
      for rules in [aws_network_acl.private.ingress, aws_network_acl.private.egress] :
      toset([for rule in rules : rule.cidr_block if rule.protocol == "-1"]) == toset(["10.42.0.0/16"])
    ])
    error_message = "Between zones, the ACL must let every protocol through, but inside the VPC only."
  }
}

run "lets_out_only_ours_to_ours" {
  variables {
    interface_endpoints = [
      "application-autoscaling", "ecr.api", "ecr.dkr", "events", "kms", "logs", "monitoring", "sagemaker.api", "sagemaker.runtime", "secretsmanager", "sns", "states", "sts", "xray",
    ]
  }

  assert {
    condition = length(aws_vpc_endpoint.interface) == 14 && alltrue([
      for service, endpoint in aws_vpc_endpoint.interface :
      endpoint.vpc_endpoint_type == "Interface" && endpoint.private_dns_enabled && length(endpoint.subnet_ids) == 2 &&
      tolist(endpoint.security_group_ids) == tolist(["sg-vpc-endpoints"]) && endpoint.service_name == "com.amazonaws.us-east-1.${service}"
    ])
    error_message = "Each service must have an endpoint in both zones, under its own name, behind the endpoints' group."
  }
  assert {
    # PullLayers is the one exception: ECR signs those addresses itself, for its own bucket.
    condition = alltrue(flatten([
      for endpoint in concat(values(aws_vpc_endpoint.interface), values(aws_vpc_endpoint.gateway)) : [
        for statement in jsondecode(endpoint.policy).Statement :
        statement.Effect == "Allow" && (statement.Sid == "PullLayers" || try(statement.Condition.StringEquals["aws:PrincipalAccount"], "") == "123456789012")
      ]
    ]))
    error_message = "Whoever brings credentials of another account must get nothing out through an endpoint."
  }
  assert {
    condition = alltrue(flatten([
      for endpoint in concat(values(aws_vpc_endpoint.interface), values(aws_vpc_endpoint.gateway)) : [
        for statement in jsondecode(endpoint.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]
      ]
    ]))
    error_message = "Actions must be named one by one."
  }
  assert {
    condition = alltrue(flatten([
      for endpoint in concat(values(aws_vpc_endpoint.interface), values(aws_vpc_endpoint.gateway)) : [
        for statement in jsondecode(endpoint.policy).Statement : [
          for action in flatten([statement.Action]) : contains([
            "cloudwatch:PutMetricData", "ecr:GetAuthorizationToken", "sagemaker:ListArtifacts",
            "states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess", "sts:GetCallerIdentity",
            "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
          ], action)
        ] if contains(flatten([statement.Resource]), "*")
      ]
    ]))
    error_message = "A statement may reach every resource only for actions that know none."
  }
  assert {
    condition = alltrue(flatten([
      for endpoint in concat(values(aws_vpc_endpoint.interface), [aws_vpc_endpoint.gateway["dynamodb"]]) : [
        for statement in jsondecode(endpoint.policy).Statement : [
          for resource in flatten([statement.Resource]) : resource == "*" || strcontains(resource, ":123456789012:")
        ]
      ]
    ]))
    error_message = "Every resource that has an account must be this account's."
  }
  assert {
    condition = length([
      for action in flatten([for statement in jsondecode(aws_vpc_endpoint.interface["kms"].policy).Statement : statement.Action]) : action
      if !contains(["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:GenerateMac", "kms:GetPublicKey", "kms:Sign", "kms:Verify"], action)
    ]) == 0
    error_message = "From inside, keys may be used and not administered."
  }
  assert {
    condition     = !anytrue([for action in flatten([for statement in jsondecode(aws_vpc_endpoint.interface["ecr.dkr"].policy).Statement : statement.Action]) : contains(["ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:BatchDeleteImage"], action)])
    error_message = "From inside, images may be pulled and not pushed: a push would carry data out."
  }
}

run "lets_data_into_no_strangers_bucket" {
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_vpc_endpoint.gateway["s3"].policy).Statement :
      statement.Sid == "PullLayers" || try(statement.Condition.StringEquals["aws:ResourceAccount"], "") == "123456789012"
    ])
    error_message = "A stranger may own a bucket of any name: the owner must be this account."
  }
  assert {
    condition = [for statement in jsondecode(aws_vpc_endpoint.gateway["s3"].policy).Statement : statement if statement.Sid == "PullLayers"] == [{
      Sid       = "PullLayers"
      Effect    = "Allow"
      Principal = "*"
      Action    = "s3:GetObject"
      Resource  = "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*"
    }]
    error_message = "Whoever they are, all may read the layers that ECR keeps, and no more."
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.gateway : contains(endpoint.route_table_ids, aws_route_table.private.id) && endpoint.vpc_endpoint_type == "Gateway"])
    error_message = "The private subnets must reach both gateways."
  }
}

run "reaches_a_bucket_that_is_named" {
  variables {
    bucket_names = ["team-datasets"]
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_vpc_endpoint.gateway["s3"].policy).Statement : statement.Resource])) == toset([
      "arn:aws:s3:::lockstep-*", "arn:aws:s3:::lockstep-*/*", "arn:aws:s3:::team-datasets", "arn:aws:s3:::team-datasets/*",
      "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*",
    ])
    error_message = "Besides Lockstep's own buckets, the named one must be reached, and no other."
  }
}

run "lets_through_what_the_functions_call" {
  variables {
    interface_endpoints = [
      "application-autoscaling", "ecr.api", "ecr.dkr", "events", "kms", "logs", "monitoring", "sagemaker.api", "sagemaker.runtime", "secretsmanager", "sns", "states", "sts", "xray",
    ]
  }

  assert {
    # SageMaker makes the grant itself, and Application Auto Scaling the alarms, in their caller's name, so those calls come
    # through no endpoint of ours; the other two are keys of conditions.
    condition = length(setsubtract(
      setsubtract(
        toset(flatten(regexall("\"((?:application-autoscaling|cloudwatch|dynamodb|ecr|kms|s3|sagemaker|secretsmanager|sns|states):[A-Z][A-Za-z]+)\"", file("../pipeline/roles.tf")))),
        [
          "cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "kms:CreateGrant", "kms:GrantIsForAWSResource", "kms:ViaService",
          "sagemaker:UpdateEndpointWeightsAndCapacities",
        ],
      ),
      toset(flatten([
        for endpoint in concat(values(aws_vpc_endpoint.interface), values(aws_vpc_endpoint.gateway)) :
        [for statement in jsondecode(endpoint.policy).Statement : statement.Action]
      ])),
    )) == 0
    error_message = "What pipeline/roles.tf grants to a function must pass the endpoints, or the function fails inside the VPC alone."
  }
}

run "records_what_passes_and_what_was_refused" {
  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_flow_log.this.vpc_id == aws_vpc.this.id && aws_flow_log.this.log_destination_type == "cloud-watch-logs"
    error_message = "All traffic of the VPC must be recorded."
  }
  assert {
    condition     = startswith(aws_flow_log.this.log_format, "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} $${packets} $${bytes} $${start} $${end} $${action} $${log-status} ")
    error_message = "The default format's fields must come first: tables are made for them."
  }
  assert {
    condition     = output.flow_log_group == "/aws/vpc/lockstep-flow" && aws_cloudwatch_log_group.flow[0].kms_key_id == var.data_key_arn && aws_cloudwatch_log_group.flow[0].retention_in_days == 90
    error_message = "Flow logs must be encrypted, be kept for 90 days, and have the name that the key's policy lets through."
  }
  assert {
    condition = (
      jsondecode(aws_iam_role.flow_log[0].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012" &&
      jsondecode(aws_iam_role.flow_log[0].assume_role_policy).Statement[0].Condition.ArnLike["aws:SourceArn"] == "arn:aws:ec2:us-east-1:123456789012:vpc-flow-log/*"
    )
    error_message = "The service may take on the role for this account's flow logs only."
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.flow_log[0].policy).Statement : [for action in flatten([statement.Action]) : "${action} ${statement.Resource}"]
      ])) == toset([
      "logs:CreateLogStream arn:aws:logs:us-east-1:123456789012:log-group:/aws/vpc/lockstep-flow:*",
      "logs:DescribeLogStreams arn:aws:logs:us-east-1:123456789012:log-group:/aws/vpc/lockstep-flow:*",
      "logs:PutLogEvents arn:aws:logs:us-east-1:123456789012:log-group:/aws/vpc/lockstep-flow:*",
      "logs:DescribeLogGroups *",
    ])
    error_message = "The role may write the one log group, and see that it is there."
  }
}

run "records_into_a_bucket_if_told_to" {
  variables {
    flow_log_bucket_arn = "arn:aws:s3:::lockstep-logs-123456789012/flow"
  }

  assert {
    condition     = aws_flow_log.this.log_destination_type == "s3" && aws_flow_log.this.log_destination == "arn:aws:s3:::lockstep-logs-123456789012/flow" && aws_flow_log.this.traffic_type == "ALL"
    error_message = "Flow logs must go to the bucket."
  }
  assert {
    condition     = length(aws_iam_role.flow_log) == 0 && length(aws_cloudwatch_log_group.flow) == 0 && output.flow_log_group == null
    error_message = "Where no log group is written, none may be made, nor a role to write it."
  }
}

run "answers_for_no_name_that_carries_data_out" {
  assert {
    condition = (
      toset(aws_route53_resolver_firewall_domain_list.this["resolvable"].domains) == toset(["*.amazonaws.com"]) &&
      toset(aws_route53_resolver_firewall_domain_list.this["everything"].domains) == toset(["*"])
    )
    error_message = "The resolver must answer for AWS's names only."
  }
  assert {
    condition = (
      aws_route53_resolver_firewall_rule.answer[0].action == "ALLOW" && aws_route53_resolver_firewall_rule.refuse[0].action == "BLOCK" &&
      aws_route53_resolver_firewall_rule.answer[0].priority < aws_route53_resolver_firewall_rule.refuse[0].priority &&
      aws_route53_resolver_firewall_rule.refuse[0].firewall_domain_list_id == aws_route53_resolver_firewall_domain_list.this["everything"].id
    )
    error_message = "What is not listed must be refused, after what is listed was answered for."
  }
  assert {
    condition     = aws_route53_resolver_firewall_config.this[0].firewall_fail_open == "DISABLED" && aws_route53_resolver_firewall_rule_group_association.this[0].vpc_id == aws_vpc.this.id
    error_message = "Where the check itself fails, the resolver must not answer."
  }
}

run "leaves_the_resolver_alone_if_told_to" {
  variables {
    dns_firewall = false
  }

  assert {
    condition     = length(aws_route53_resolver_firewall_domain_list.this) + length(aws_route53_resolver_firewall_rule_group.this) + length(aws_route53_resolver_firewall_config.this) == 0
    error_message = "Without the resolver's firewall, none of it may be made: not every account has it."
  }
}

run "lets_out_tls_to_the_hub_and_nothing_else" {
  variables {
    hub_egress          = "inspected"
    zones               = ["us-east-1a", "us-east-1b"]
    interface_endpoints = ["kms", "secretsmanager"]
  }

  assert {
    condition = (
      one(one(one(aws_networkfirewall_rule_group.hub[0].rule_group).rules_source).rules_source_list).generated_rules_type == "ALLOWLIST" &&
      toset(one(one(one(aws_networkfirewall_rule_group.hub[0].rule_group).rules_source).rules_source_list).target_types) == toset(["TLS_SNI"]) &&
      toset(one(one(one(aws_networkfirewall_rule_group.hub[0].rule_group).rules_source).rules_source_list).targets) == toset(["huggingface.co", "cdn-lfs.huggingface.co", ".hf.co"])
    )
    error_message = "Only TLS that names one of the Hub's hosts may pass: plain HTTP would show the token."
  }
  assert {
    condition = (
      contains(one(aws_networkfirewall_firewall_policy.hub[0].firewall_policy).stateful_default_actions, "aws:drop_established") &&
      toset(one(aws_networkfirewall_firewall_policy.hub[0].firewall_policy).stateless_default_actions) == toset(["aws:forward_to_sfe"]) &&
      toset(one(aws_networkfirewall_firewall_policy.hub[0].firewall_policy).stateless_fragment_default_actions) == toset(["aws:drop"]) &&
      one(one(aws_networkfirewall_firewall_policy.hub[0].firewall_policy).stateful_engine_options).rule_order == "STRICT_ORDER" &&
      one(one(aws_networkfirewall_firewall_policy.hub[0].firewall_policy).stateful_engine_options).stream_exception_policy == "DROP"
    )
    error_message = "What matches no rule must be dropped, and so must what the firewall lost track of."
  }
  assert {
    condition = { for zone, route in aws_route.downloads_to_firewall : zone => "${route.destination_cidr_block} ${route.vpc_endpoint_id}" } == {
      us-east-1a = "0.0.0.0/0 vpce-0000000000000000a"
      us-east-1b = "0.0.0.0/0 vpce-0000000000000000b"
    }
    error_message = "The downloads' only way out must lead through the firewall, in their own zone."
  }
  assert {
    condition = { for zone, route in aws_route.nat_to_firewall : zone => "${route.destination_cidr_block} ${route.vpc_endpoint_id}" } == {
      us-east-1a = "${local.egress_cidrs.downloads["us-east-1a"]} vpce-0000000000000000a"
      us-east-1b = "${local.egress_cidrs.downloads["us-east-1b"]} vpce-0000000000000000b"
    }
    error_message = "Answers must come back through the same zone's firewall, or it takes them for strangers'."
  }
  assert {
    condition = alltrue([
      for zone in ["us-east-1a", "us-east-1b"] :
      aws_route.firewall_to_nat[zone].nat_gateway_id == aws_nat_gateway.this[zone].id && aws_route.nat_to_internet[zone].gateway_id == aws_internet_gateway.this[0].id &&
      aws_nat_gateway.this[zone].subnet_id == aws_subnet.egress["nat-${zone}"].id
    ])
    error_message = "Behind the firewall comes the NAT gateway of the same zone, and behind that the internet."
  }
  assert {
    condition     = alltrue([for association in aws_route_table_association.private : association.route_table_id == aws_route_table.private.id])
    error_message = "The private subnets must still lead nowhere."
  }
  assert {
    condition = (
      aws_vpc_security_group_egress_rule.downloads[0].security_group_id == "sg-downloads" && aws_vpc_security_group_egress_rule.downloads[0].from_port == 443 &&
      aws_vpc_security_group_egress_rule.downloads[0].to_port == 443 && output.download_vpc_config.security_group_ids == ["sg-downloads"] &&
      toset(output.download_vpc_config.subnet_ids) == toset([for zone in ["us-east-1a", "us-east-1b"] : aws_subnet.egress["downloads-${zone}"].id])
    )
    error_message = "download-model, and nobody else, must be placed where the way out begins."
  }
  assert {
    condition     = contains(keys(aws_vpc_security_group_ingress_rule.vpc_endpoints), "downloads") && alltrue([for endpoint in aws_vpc_endpoint.gateway : length(endpoint.route_table_ids) == 3])
    error_message = "download-model must reach KMS, its secret and its bucket without leaving the VPC."
  }
  assert {
    condition     = toset(aws_route53_resolver_firewall_domain_list.this["resolvable"].domains) == toset(["*.amazonaws.com", "huggingface.co", "cdn-lfs.huggingface.co", "hf.co", "*.hf.co"])
    error_message = "What may be reached must be found, too."
  }
  assert {
    condition = alltrue([
      for config in one(aws_networkfirewall_logging_configuration.this[0].logging_configuration).log_destination_config :
      contains(["/aws/vendedlogs/network-firewall/lockstep-alert", "/aws/vendedlogs/network-firewall/lockstep-flow"], config.log_destination.logGroup)
      ]) && toset([for config in one(aws_networkfirewall_logging_configuration.this[0].logging_configuration).log_destination_config : config.log_type]) == toset(["ALERT", "FLOW"]) && alltrue([
      for group in aws_cloudwatch_log_group.firewall : group.kms_key_id == var.data_key_arn && group.retention_in_days == 90
    ])
    error_message = "What the firewall dropped must be on record, encrypted."
  }
  assert {
    condition = aws_networkfirewall_firewall.this[0].delete_protection && aws_networkfirewall_firewall.this[0].subnet_change_protection && aws_networkfirewall_firewall.this[0].firewall_policy_change_protection && alltrue([
      for encrypted in [aws_networkfirewall_firewall.this[0], aws_networkfirewall_firewall_policy.hub[0], aws_networkfirewall_rule_group.hub[0]] :
      one(encrypted.encryption_configuration).key_id == var.data_key_arn
    ])
    error_message = "The firewall must be encrypted, and must not be taken away in passing."
  }
  assert {
    condition = toset([for rule in aws_network_acl.downloads[0].egress : "${rule.protocol} ${rule.cidr_block} ${rule.from_port}-${rule.to_port}"]) == toset(["tcp 0.0.0.0/0 443-443"]) && !anytrue(
      [for rule in concat(tolist(aws_network_acl.passage[0].egress), tolist(aws_network_acl.passage[0].ingress)) : rule.protocol != "tcp" || rule.from_port < 443]
    )
    error_message = "On the way out, only TLS and its answers may pass: UDP would carry QUIC, and names."
  }
}

run "refuses_a_public_address_space" {
  command = plan
  variables {
    cidr = "8.8.0.0/16"
  }
  expect_failures = [var.cidr]
}

run "refuses_a_network_too_small_for_its_subnets" {
  command = plan
  variables {
    cidr = "10.0.0.0/24"
  }
  expect_failures = [var.cidr]
}

run "refuses_an_address_with_bits_behind_its_prefix" {
  command = plan
  variables {
    cidr = "10.42.1.0/16"
  }
  expect_failures = [var.cidr]
}

run "refuses_one_zone" {
  command = plan
  variables {
    zones = ["us-east-1a"]
  }
  expect_failures = [var.zones]
}

run "refuses_one_zone_named_twice" {
  command = plan
  variables {
    zones = ["us-east-1a", "us-east-1a"]
  }
  expect_failures = [var.zones]
}

run "refuses_an_endpoint_without_a_policy" {
  command = plan
  variables {
    interface_endpoints = ["ssm"]
  }
  expect_failures = [var.interface_endpoints]
}

run "refuses_a_way_out_that_nobody_looks_at" {
  command = plan
  variables {
    hub_egress = "nat"
  }
  expect_failures = [var.hub_egress]
}

run "refuses_to_shut_download_model_in_without_its_secret" {
  command = plan
  variables {
    hub_egress          = "inspected"
    interface_endpoints = ["kms"]
  }
  expect_failures = [var.hub_egress]
}

run "refuses_a_top_level_domain_as_a_host" {
  command = plan
  variables {
    hub_hosts = [".com"]
  }
  expect_failures = [var.hub_hosts]
}

run "refuses_a_wildcard_host" {
  command = plan
  variables {
    hub_hosts = ["*.hf.co"]
  }
  expect_failures = [var.hub_hosts]
}

run "refuses_to_answer_for_every_name" {
  command = plan
  variables {
    resolvable_domains = ["*"]
  }
  expect_failures = [var.resolvable_domains]
}

run "refuses_a_bucket_pattern" {
  command = plan
  variables {
    bucket_names = ["*"]
  }
  expect_failures = [var.bucket_names]
}

run "refuses_a_retention_that_cloudwatch_does_not_know" {
  command = plan
  variables {
    log_retention_days = 91
  }
  expect_failures = [var.log_retention_days]
}

run "refuses_something_else_than_a_bucket_for_flow_logs" {
  command = plan
  variables {
    flow_log_bucket_arn = "arn:aws:firehose:us-east-1:123456789012:deliverystream/x"
  }
  expect_failures = [var.flow_log_bucket_arn]
}
