# What the other modules are made of, in several policies because IAM takes 6,144 characters in each. An entry says where
# it lies (by name prefix where the service names by prefix), what a plan reads there, and what applying changes. Nothing
# here reads or writes what people and functions put in: no object, item, secret, log line or message, and nothing is run.
locals {
  granted = {
    compute = {
      Functions = {
        on   = ["${local.regional.lambda}:function:${var.name}-*"]
        read = ["lambda:GetFunction", "lambda:GetFunctionCodeSigningConfig", "lambda:GetFunctionConcurrency", "lambda:GetFunctionConfiguration", "lambda:GetFunctionEventInvokeConfig", "lambda:GetPolicy", "lambda:ListTags", "lambda:ListVersionsByFunction"]
        write = [
          "lambda:AddPermission", "lambda:CreateFunction", "lambda:DeleteFunction", "lambda:DeleteFunctionConcurrency",
          "lambda:DeleteFunctionEventInvokeConfig", "lambda:PublishVersion", "lambda:PutFunctionConcurrency",
          "lambda:PutFunctionEventInvokeConfig", "lambda:RemovePermission", "lambda:TagResource", "lambda:UntagResource",
          "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionEventInvokeConfig",
        ]
      }
      StateMachines = {
        on    = ["${local.regional.states}:stateMachine:${var.name}-*"]
        read  = ["states:DescribeStateMachine", "states:ListStateMachineVersions", "states:ListTagsForResource"]
        write = ["states:CreateStateMachine", "states:DeleteStateMachine", "states:TagResource", "states:UntagResource", "states:UpdateStateMachine"]
      }
      # The provider checks a definition while it plans.
      Definitions = {
        on    = ["*"]
        read  = ["states:ValidateStateMachineDefinition"]
        write = []
      }
      Rules = {
        on   = ["${local.regional.events}:rule/${var.name}-*"]
        read = ["events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule"]
        write = [
          "events:DeleteRule", "events:DisableRule", "events:EnableRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets",
          "events:TagResource", "events:UntagResource",
        ]
      }
      Schedules = {
        on    = ["${local.regional.scheduler}:schedule/default/${var.name}-*"]
        read  = ["scheduler:GetSchedule"]
        write = ["scheduler:CreateSchedule", "scheduler:DeleteSchedule", "scheduler:UpdateSchedule"]
      }
      Topics = {
        on    = ["${local.regional.sns}:${var.name}-*"]
        read  = ["sns:GetDataProtectionPolicy", "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:ListTagsForResource"]
        write = ["sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:UntagResource"]
      }
      Subscriptions = {
        on    = ["*"] # these know no resource
        read  = ["sns:GetSubscriptionAttributes"]
        write = ["sns:SetSubscriptionAttributes", "sns:Unsubscribe"]
      }
      Queues = {
        on    = ["${local.regional.sqs}:${var.name}-*"]
        read  = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags"]
        write = ["sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:UntagQueue"]
      }
      Servers = {
        on   = [for kind in ["cluster/${var.name}-*", "service/${var.name}-*", "task-definition/${var.name}-*"] : "${local.regional.ecs}:${kind}"]
        read = ["ecs:DescribeClusters", "ecs:DescribeServices", "ecs:ListTagsForResource"]
        write = [
          "ecs:CreateCluster", "ecs:CreateService", "ecs:DeleteCluster", "ecs:DeleteService", "ecs:PutClusterCapacityProviders",
          "ecs:RegisterTaskDefinition", "ecs:TagResource", "ecs:UntagResource", "ecs:UpdateCluster", "ecs:UpdateClusterSettings",
          "ecs:UpdateService",
        ]
      }
      TaskDefinitions = {
        on    = ["*"] # these two know no resource
        read  = ["ecs:DescribeTaskDefinition"]
        write = ["ecs:DeregisterTaskDefinition"]
      }
    }

    storage = {
      Buckets = {
        on = ["arn:${local.partition}:s3:::${var.name}-*"]
        read = [
          "s3:GetAccelerateConfiguration", "s3:GetAnalyticsConfiguration", "s3:GetBucketAcl", "s3:GetBucketCORS",
          "s3:GetBucketLocation", "s3:GetBucketLogging", "s3:GetBucketNotification", "s3:GetBucketObjectLockConfiguration",
          "s3:GetBucketOwnershipControls", "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock", "s3:GetBucketRequestPayment",
          "s3:GetBucketTagging", "s3:GetBucketVersioning", "s3:GetBucketWebsite", "s3:GetEncryptionConfiguration",
          "s3:GetIntelligentTieringConfiguration", "s3:GetInventoryConfiguration", "s3:GetLifecycleConfiguration",
          "s3:GetMetricsConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket", "s3:ListTagsForResource",
        ]
        write = [
          "s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketLogging", "s3:PutBucketNotification",
          "s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy",
          "s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration",
          "s3:PutIntelligentTieringConfiguration", "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration",
          "s3:TagResource", "s3:UntagResource",
        ]
      }
      # The functions' code, the policy and the trust root: the only objects that are deployed.
      DeployedObjects = {
        on    = local.deployed_objects
        read  = ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion"]
        write = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject", "s3:PutObjectTagging"]
      }
      Tables = {
        on   = ["${local.regional.dynamodb}:table/${var.name}-*"]
        read = ["dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:GetResourcePolicy", "dynamodb:ListTagsOfResource"]
        write = [
          "dynamodb:CreateTable", "dynamodb:DeleteResourcePolicy", "dynamodb:DeleteTable", "dynamodb:PutResourcePolicy",
          "dynamodb:TagResource", "dynamodb:UntagResource", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTable",
          "dynamodb:UpdateTimeToLive",
        ]
      }
      Secrets = {
        on   = ["${local.regional.secretsmanager}:secret:${var.name}/*", "${local.regional.secretsmanager}:secret:${var.name}-*", "${local.regional.secretsmanager}:secret:rds!db-*"]
        read = ["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy", "secretsmanager:ListSecretVersionIds"]
        write = [
          "secretsmanager:CancelRotateSecret", "secretsmanager:CreateSecret", "secretsmanager:DeleteResourcePolicy",
          "secretsmanager:DeleteSecret", "secretsmanager:PutResourcePolicy", "secretsmanager:RestoreSecret",
          "secretsmanager:RotateSecret", "secretsmanager:TagResource", "secretsmanager:UntagResource", "secretsmanager:UpdateSecret",
        ]
      }
      # Keys are named by id, and carry their alias only after their policy was written.
      Keys = {
        on   = ["${local.regional.kms}:key/*", "${local.regional.kms}:alias/${var.name}-*"]
        read = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:GetPublicKey", "kms:ListResourceTags"]
        write = [
          "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DisableKeyRotation", "kms:EnableKey",
          "kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource",
          "kms:UpdateAlias", "kms:UpdateKeyDescription",
        ]
      }
      NewKeys = {
        on    = ["*"] # a key that is not there yet has no name
        read  = ["kms:ListAliases"]
        write = ["kms:CreateKey"]
      }
      # What is made encrypted is made with the maker's right to the key, by way of the service. A plan compares the
      # deployed objects, which are encrypted too.
      EncryptionThroughServices = {
        on         = ["${local.regional.kms}:key/*"]
        read       = ["kms:Decrypt"]
        write      = ["kms:GenerateDataKey"]
        conditions = { StringLike = { "kms:ViaService" = "*.${local.region}.${local.dns_suffix}" } }
      }
      GrantsForServices = {
        on         = ["${local.regional.kms}:key/*"]
        read       = []
        write      = ["kms:CreateGrant"]
        conditions = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      }
      Repositories = {
        on   = ["${local.regional.ecr}:repository/${var.name}/*", local.repository_arn]
        read = ["ecr:DescribeRepositories", "ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy", "ecr:ListTagsForResource"]
        write = [
          "ecr:CreateRepository", "ecr:DeleteLifecyclePolicy", "ecr:DeleteRepository", "ecr:DeleteRepositoryPolicy",
          "ecr:PutImageScanningConfiguration", "ecr:PutImageTagMutability", "ecr:PutLifecyclePolicy", "ecr:SetRepositoryPolicy",
          "ecr:TagResource", "ecr:UntagResource",
        ]
      }
      ImageScanning = {
        on    = ["*"] # the registry's own setting
        read  = ["ecr:GetRegistryScanningConfiguration"]
        write = ["ecr:PutRegistryScanningConfiguration"]
      }
      Databases = {
        on   = [for kind in ["db", "pg", "snapshot", "subgrp"] : "${local.regional.rds}:${kind}:${var.name}-*"]
        read = ["rds:DescribeDBInstances", "rds:DescribeDBParameterGroups", "rds:DescribeDBParameters", "rds:DescribeDBSubnetGroups", "rds:ListTagsForResource"]
        write = [
          "rds:AddTagsToResource", "rds:CreateDBInstance", "rds:CreateDBParameterGroup", "rds:CreateDBSnapshot",
          "rds:CreateDBSubnetGroup", "rds:DeleteDBInstance", "rds:DeleteDBParameterGroup", "rds:DeleteDBSubnetGroup",
          "rds:ModifyDBInstance", "rds:ModifyDBParameterGroup", "rds:ModifyDBSubnetGroup", "rds:RebootDBInstance",
          "rds:RemoveTagsFromResource", "rds:ResetDBParameterGroup",
        ]
      }
    }

    network = {
      # EC2 names by id: what bounds these are the kinds, the region and the account.
      Networks = {
        on = [
          for kind in [
            "elastic-ip", "internet-gateway", "natgateway", "network-acl", "network-interface", "prefix-list", "route-table",
            "security-group", "security-group-rule", "subnet", "vpc", "vpc-endpoint", "vpc-flow-log",
          ] : "${local.regional.ec2}:${kind}/*"
        ]
        read = ["ec2:DescribeVpcAttribute"]
        write = [
          "ec2:AllocateAddress", "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroupEgress",
          "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateFlowLogs", "ec2:CreateInternetGateway", "ec2:CreateNatGateway",
          "ec2:CreateNetworkAcl", "ec2:CreateNetworkAclEntry", "ec2:CreateRoute", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup",
          "ec2:CreateSubnet", "ec2:CreateTags", "ec2:CreateVpc", "ec2:CreateVpcEndpoint", "ec2:DeleteFlowLogs",
          "ec2:DeleteInternetGateway", "ec2:DeleteNatGateway", "ec2:DeleteNetworkAcl", "ec2:DeleteNetworkAclEntry", "ec2:DeleteRoute",
          "ec2:DeleteRouteTable", "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet", "ec2:DeleteTags", "ec2:DeleteVpc",
          "ec2:DeleteVpcEndpoints", "ec2:DetachInternetGateway", "ec2:DisassociateAddress", "ec2:DisassociateRouteTable",
          "ec2:ModifySecurityGroupRules", "ec2:ModifySubnetAttribute", "ec2:ModifyVpcAttribute", "ec2:ModifyVpcEndpoint",
          "ec2:ReleaseAddress", "ec2:ReplaceNetworkAclAssociation", "ec2:ReplaceNetworkAclEntry", "ec2:ReplaceRoute",
          "ec2:ReplaceRouteTableAssociation", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
          "ec2:UpdateSecurityGroupRuleDescriptionsEgress", "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
        ]
      }
      # Looking knows no resource.
      Surroundings = {
        on = ["*"]
        read = [
          "ec2:DescribeAddresses", "ec2:DescribeAddressesAttribute", "ec2:DescribeAvailabilityZones", "ec2:DescribeFlowLogs",
          "ec2:DescribeInternetGateways", "ec2:DescribeNatGateways", "ec2:DescribeNetworkAcls", "ec2:DescribeNetworkInterfaces",
          "ec2:DescribePrefixLists", "ec2:DescribeManagedPrefixLists", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroupRules",
          "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcEndpoints",
          "ec2:DescribeVpcs", "elasticloadbalancing:DescribeCapacityReservation", "elasticloadbalancing:DescribeListenerAttributes",
          "elasticloadbalancing:DescribeListenerCertificates", "elasticloadbalancing:DescribeListeners",
          "elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:DescribeLoadBalancers",
          "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTags", "elasticloadbalancing:DescribeTargetGroupAttributes",
          "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTrustStoreRevocations",
          "elasticloadbalancing:DescribeTrustStores", "route53resolver:ListFirewallConfigs",
        ]
        write = []
      }
      LoadBalancers = {
        on = [
          for kind in ["listener", "listener-rule", "loadbalancer"] : "${local.regional.elasticloadbalancing}:${kind}/app/${var.name}-*"
        ]
        read = []
        write = [
          "elasticloadbalancing:AddListenerCertificates", "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateListener",
          "elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateRule", "elasticloadbalancing:DeleteListener",
          "elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteRule", "elasticloadbalancing:ModifyListener",
          "elasticloadbalancing:ModifyListenerAttributes", "elasticloadbalancing:ModifyLoadBalancerAttributes",
          "elasticloadbalancing:ModifyRule", "elasticloadbalancing:RemoveListenerCertificates", "elasticloadbalancing:RemoveTags",
          "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
        ]
      }
      TargetGroups = {
        on   = [for kind in ["targetgroup", "truststore"] : "${local.regional.elasticloadbalancing}:${kind}/${var.name}-*"]
        read = []
        write = [
          "elasticloadbalancing:AddTags", "elasticloadbalancing:AddTrustStoreRevocations", "elasticloadbalancing:CreateTargetGroup",
          "elasticloadbalancing:CreateTrustStore", "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:DeleteTrustStore",
          "elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes",
          "elasticloadbalancing:ModifyTrustStore", "elasticloadbalancing:RemoveTags", "elasticloadbalancing:RemoveTrustStoreRevocations",
        ]
      }
      WebFirewalls = {
        on    = ["*"] # this one knows no resource
        read  = []
        write = ["elasticloadbalancing:SetWebAcl"]
      }
    }

    firewalls = {
      Firewalls = {
        on = [for kind in ["firewall", "firewall-policy", "stateful-rulegroup"] : "${local.regional["network-firewall"]}:${kind}/${var.name}*"]
        read = [
          "network-firewall:DescribeFirewall", "network-firewall:DescribeFirewallPolicy", "network-firewall:DescribeLoggingConfiguration",
          "network-firewall:DescribeRuleGroup", "network-firewall:ListTagsForResource",
        ]
        write = [
          "network-firewall:AssociateFirewallPolicy", "network-firewall:AssociateSubnets", "network-firewall:CreateFirewall",
          "network-firewall:CreateFirewallPolicy", "network-firewall:CreateRuleGroup", "network-firewall:DeleteFirewall",
          "network-firewall:DeleteFirewallPolicy", "network-firewall:DeleteRuleGroup", "network-firewall:DisassociateSubnets",
          "network-firewall:TagResource", "network-firewall:UntagResource", "network-firewall:UpdateFirewallDeleteProtection",
          "network-firewall:UpdateFirewallDescription", "network-firewall:UpdateFirewallEncryptionConfiguration",
          "network-firewall:UpdateFirewallPolicy", "network-firewall:UpdateFirewallPolicyChangeProtection",
          "network-firewall:UpdateLoggingConfiguration", "network-firewall:UpdateRuleGroup", "network-firewall:UpdateSubnetChangeProtection",
        ]
      }
      ResolverFirewalls = {
        on = [for kind in ["config", "domain-list", "rule-group", "rule-group-association"] : "${local.regional.route53resolver}:firewall-${kind}/*"]
        read = [
          "route53resolver:GetFirewallConfig", "route53resolver:GetFirewallDomainList", "route53resolver:GetFirewallRuleGroup",
          "route53resolver:GetFirewallRuleGroupAssociation", "route53resolver:ListFirewallDomains", "route53resolver:ListFirewallRules",
          "route53resolver:ListTagsForResource",
        ]
        write = [
          "route53resolver:AssociateFirewallRuleGroup", "route53resolver:CreateFirewallDomainList", "route53resolver:CreateFirewallRule",
          "route53resolver:CreateFirewallRuleGroup", "route53resolver:DeleteFirewallDomainList", "route53resolver:DeleteFirewallRule",
          "route53resolver:DeleteFirewallRuleGroup", "route53resolver:DisassociateFirewallRuleGroup", "route53resolver:TagResource",
          "route53resolver:UntagResource", "route53resolver:UpdateFirewallConfig", "route53resolver:UpdateFirewallDomains",
          "route53resolver:UpdateFirewallRule", "route53resolver:UpdateFirewallRuleGroupAssociation",
        ]
      }
    }

    watching = {
      LogGroups = {
        on   = [for place in ["/aws/*/${var.name}-*", "/aws/*/${var.name}-*:*", "/aws/sagemaker/*"] : "${local.regional.logs}:log-group:${place}"]
        read = ["logs:DescribeMetricFilters", "logs:DescribeSubscriptionFilters", "logs:ListTagsForResource"]
        write = [
          "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteMetricFilter", "logs:DeleteRetentionPolicy",
          "logs:DeleteSubscriptionFilter", "logs:DisassociateKmsKey", "logs:PutMetricFilter", "logs:PutRetentionPolicy",
          "logs:PutSubscriptionFilter", "logs:TagResource", "logs:UntagResource",
        ]
      }
      # Set for the account; none knows a resource.
      LogSettings = {
        on   = ["*"]
        read = ["logs:DescribeLogGroups", "logs:DescribeQueryDefinitions", "logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries"]
        write = [
          "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DeleteQueryDefinition", "logs:DeleteResourcePolicy",
          "logs:PutQueryDefinition", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
        ]
      }
      Alarms = {
        on    = ["${local.regional.cloudwatch}:alarm:${var.name}-*"]
        read  = ["cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"]
        write = ["cloudwatch:DeleteAlarms", "cloudwatch:PutCompositeAlarm", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource"]
      }
      Dashboards = {
        on    = ["arn:${local.partition}:cloudwatch::${local.account_id}:dashboard/${var.name}*"]
        read  = ["cloudwatch:GetDashboard"]
        write = ["cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard"]
      }
      Trails = {
        on   = ["${local.regional.cloudtrail}:trail/${var.name}*"]
        read = ["cloudtrail:GetEventSelectors", "cloudtrail:GetInsightSelectors", "cloudtrail:GetTrail", "cloudtrail:GetTrailStatus", "cloudtrail:ListTags"]
        write = [
          "cloudtrail:AddTags", "cloudtrail:CreateTrail", "cloudtrail:DeleteTrail", "cloudtrail:PutEventSelectors",
          "cloudtrail:PutInsightSelectors", "cloudtrail:RemoveTags", "cloudtrail:StartLogging", "cloudtrail:StopLogging",
          "cloudtrail:UpdateTrail",
        ]
      }
      Detectors = {
        on   = ["${local.regional.guardduty}:detector/*"]
        read = ["guardduty:DescribePublishingDestination", "guardduty:GetDetector", "guardduty:ListTagsForResource"]
        write = [
          "guardduty:DeleteDetector", "guardduty:DeletePublishingDestination", "guardduty:TagResource", "guardduty:UntagResource", "guardduty:UpdateDetector", "guardduty:UpdatePublishingDestination",
        ]
      }
      Accounts = {
        on    = ["*"] # none of these knows a resource
        read  = ["application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies", "cloudtrail:DescribeTrails", "guardduty:ListDetectors", "guardduty:ListPublishingDestinations"]
        write = ["guardduty:CreateDetector", "guardduty:CreatePublishingDestination"]
      }
      Workgroups = {
        on    = ["${local.regional.athena}:workgroup/${var.name}*"]
        read  = ["athena:GetNamedQuery", "athena:GetWorkGroup", "athena:ListTagsForResource"]
        write = ["athena:CreateNamedQuery", "athena:CreateWorkGroup", "athena:DeleteNamedQuery", "athena:DeleteWorkGroup", "athena:TagResource", "athena:UntagResource", "athena:UpdateWorkGroup"]
      }
      # Athena's names take no hyphens.
      Catalogues = {
        on    = ["${local.regional.glue}:catalog", "${local.regional.glue}:database/${replace(var.name, "-", "_")}*", "${local.regional.glue}:table/${replace(var.name, "-", "_")}*/*", "${local.regional.glue}:userDefinedFunction/${replace(var.name, "-", "_")}*/*"]
        read  = ["glue:GetDatabase", "glue:GetTable", "glue:GetTags"]
        write = ["glue:CreateDatabase", "glue:CreateTable", "glue:DeleteDatabase", "glue:DeleteTable", "glue:TagResource", "glue:UntagResource", "glue:UpdateDatabase", "glue:UpdateTable"]
      }
      Deliveries = {
        on   = ["${local.regional.firehose}:deliverystream/${var.name}-*"]
        read = ["firehose:DescribeDeliveryStream", "firehose:ListTagsForDeliveryStream"]
        write = [
          "firehose:CreateDeliveryStream", "firehose:DeleteDeliveryStream", "firehose:StartDeliveryStreamEncryption",
          "firehose:TagDeliveryStream", "firehose:UntagDeliveryStream", "firehose:UpdateDestination",
        ]
      }
      Scaling = {
        on   = ["${local.regional["application-autoscaling"]}:scalable-target/*"]
        read = []
        write = [
          "application-autoscaling:DeleteScalingPolicy", "application-autoscaling:DeregisterScalableTarget",
          "application-autoscaling:PutScalingPolicy", "application-autoscaling:RegisterScalableTarget",
        ]
        conditions = { StringEquals = { "application-autoscaling:service-namespace" = ["ecs"] } }
      }
      ScalingTags = {
        on    = ["${local.regional["application-autoscaling"]}:scalable-target/*"]
        read  = ["application-autoscaling:ListTagsForResource"]
        write = ["application-autoscaling:TagResource", "application-autoscaling:UntagResource"]
      }
    }

    identity = merge(
      {
        # A role that this one makes can do at most what the workloads' boundary lets through: whoever changes what is
        # applied cannot make a role that may do more, and have something run under it.
        Roles = {
          on         = ["arn:${local.partition}:iam::${local.account_id}:role/${var.name}-*"]
          read       = []
          write      = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
          conditions = { StringEquals = { "iam:PermissionsBoundary" = local.workload_boundary_arn } }
        }
        RoleSettings = {
          on = ["arn:${local.partition}:iam::${local.account_id}:role/${var.name}-*"]
          read = [
            "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies",
            "iam:ListRoleTags",
          ]
          write = ["iam:DeleteRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"]
        }
        Policies = {
          on    = ["${local.policy_prefix}/${var.name}-*"]
          read  = ["iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListPolicyTags", "iam:ListPolicyVersions"]
          write = ["iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:TagPolicy", "iam:UntagPolicy"]
        }
        Provider = {
          on    = ["arn:${local.partition}:iam::${local.account_id}:oidc-provider/${local.issuer}"]
          read  = ["iam:GetOpenIDConnectProvider"]
          write = []
        }
        PassedRoles = {
          on    = ["arn:${local.partition}:iam::${local.account_id}:role/${var.name}-*"]
          read  = []
          write = ["iam:PassRole"]
          conditions = {
            StringEquals = {
              "iam:PassedToService" = [
                "application-autoscaling.amazonaws.com", "cloudtrail.amazonaws.com", "delivery.logs.amazonaws.com", "ecs-tasks.amazonaws.com",
                "ecs.amazonaws.com", "events.amazonaws.com", "firehose.amazonaws.com", "glue.amazonaws.com", "lambda.amazonaws.com",
                "logs.amazonaws.com", "monitoring.rds.amazonaws.com", "s3.amazonaws.com", "scheduler.amazonaws.com", "states.amazonaws.com",
                "vpc-flow-logs.amazonaws.com",
              ]
            }
          }
        }
        ServiceLinkedRoles = {
          on    = ["arn:${local.partition}:iam::${local.account_id}:role/aws-service-role/*"]
          read  = []
          write = ["iam:CreateServiceLinkedRole"]
          conditions = {
            StringEquals = {
              "iam:AWSServiceName" = [
                "ecs.amazonaws.com", "ecs.application-autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com",
                "guardduty.amazonaws.com", "inspector2.amazonaws.com", "network-firewall.amazonaws.com", "rds.amazonaws.com",
              ]
            }
          }
        }
      },
      length(var.hosted_zone_ids) == 0 ? {} : {
        Records = {
          on    = [for id in sort(var.hosted_zone_ids) : "arn:${local.partition}:route53:::hostedzone/${id}"]
          read  = ["route53:GetHostedZone", "route53:ListResourceRecordSets"]
          write = ["route53:ChangeResourceRecordSets"]
        }
        RecordChanges = {
          on    = ["arn:${local.partition}:route53:::change/*"]
          read  = ["route53:GetChange"]
          write = []
        }
      },
    )
  }

  deployed_objects = ["${local.bucket_arns.work}/functions/*", "${local.bucket_arns.evidence}/policy/*"]

  # A condition is the change's; what is read under one keeps to it too.
  read_statements = {
    for group, entries in local.granted : group => [
      for what, entry in entries : merge(
        { Sid = "Read${what}", Effect = "Allow", Action = entry.read, Resource = entry.on },
        can(entry.conditions) ? { Condition = entry.conditions } : {},
      ) if length(entry.read) > 0
    ]
  }
  write_statements = {
    for group, entries in local.granted : group => [
      for what, entry in entries : merge(
        { Sid = "Manage${what}", Effect = "Allow", Action = concat(entry.read, entry.write), Resource = entry.on },
        can(entry.conditions) ? { Condition = entry.conditions } : {},
      )
    ]
  }
}

resource "aws_iam_policy" "read" {
  for_each = local.granted

  #checkov:skip=CKV_AWS_355:Every resource only for what knows none; the test holds the list
  #parliament:skip=RESOURCE_MISMATCH(athena:ListTagsForResource):Workgroups have tags, and are the only kind of Athena's that the modules make
  name        = "${var.name}-ci-read-${each.key}"
  description = "What a plan reads: ${each.key}"

  policy = jsonencode({ Version = "2012-10-17", Statement = local.read_statements[each.key] })
}

resource "aws_iam_policy" "manage" {
  for_each = local.granted

  #checkov:skip=CKV_AWS_355:Every resource only for what knows none; the test holds the list
  #checkov:skip=CKV_AWS_290:A key that is not there yet has no name, and log delivery is set for the account; the test holds the list
  #checkov:skip=CKV_AWS_289:Who deploys writes policies; a boundary bounds whose, and what they can let through
  #parliament:skip=RESOURCE_MISMATCH(athena:ListTagsForResource, athena:TagResource, athena:UntagResource):Workgroups have tags, and are the only kind of Athena's that the modules make
  #parliament:skip=RESOURCE_MISMATCH(elasticloadbalancing:AddListenerCertificates, elasticloadbalancing:CreateRule, elasticloadbalancing:DeleteListener):Load balancers here are of the kind `app`; it asks for `net` as well
  #parliament:skip=RESOURCE_MISMATCH(elasticloadbalancing:DeleteRule, elasticloadbalancing:ModifyListener, elasticloadbalancing:ModifyListenerAttributes):Load balancers here are of the kind `app`; it asks for `net` as well
  #parliament:skip=RESOURCE_MISMATCH(elasticloadbalancing:ModifyRule, elasticloadbalancing:RemoveListenerCertificates):Load balancers here are of the kind `app`; it asks for `net` as well
  #parliament:skip=RESOURCE_MISMATCH(network-firewall:DeleteRuleGroup):Rule groups here are stateful; it asks for stateless ones as well
  #parliament:skip=RESOURCE_POLICY_PRIVILEGE_ESCALATION:The apply boundary denies content whatever a bucket's policy or lifecycle allows; who else one lets in is reviewed as code
  #parliament:skip=MISMATCHED_TYPE_BUT_USABLE:An ARN compared as text is compared whole; StringEquals takes no pattern
  name        = "${var.name}-ci-manage-${each.key}"
  description = "What applying changes: ${each.key}"

  policy = jsonencode({ Version = "2012-10-17", Statement = local.write_statements[each.key] })
}

resource "aws_iam_role_policy_attachment" "read" {
  for_each = local.granted

  role       = aws_iam_role.this["plan"].name
  policy_arn = aws_iam_policy.read[each.key].arn
}

resource "aws_iam_role_policy_attachment" "manage" {
  for_each = local.granted

  role       = aws_iam_role.this["apply"].name
  policy_arn = aws_iam_policy.manage[each.key].arn
}
