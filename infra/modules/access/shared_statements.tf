# What several kinds of people do.
locals {
  # What runs prove, what was done about models that serve, and what may not serve any more.
  evidence_places = ["incidents", "revoked", "runs"]

  read_through_s3 = {
    Sid       = "ReadWhatIsEncrypted"
    Effect    = "Allow"
    Action    = "kms:Decrypt"
    Resource  = var.data_key_arn
    Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
  }

  # DescribeExecution and never GetExecutionHistory: TaskScheduled events hold task tokens, and whoever reads one can
  # answer for a gate.
  follow_runs = {
    Sid      = "FollowRuns"
    Effect   = "Allow"
    Action   = ["states:DescribeExecution", "states:DescribeStateMachine", "states:ListExecutions"]
    Resource = [var.state_machine_arn, local.execution_arns]
  }

  read_verdicts = {
    Sid      = "ReadVerdicts"
    Effect   = "Allow"
    Action   = "s3:GetObject"
    Resource = concat([for place in local.evidence_places : "${local.evidence}/${place}/*"], ["${local.work}/runs/*/plan.json"])
  }

  list_verdicts = {
    Sid       = "ListVerdicts"
    Effect    = "Allow"
    Action    = "s3:ListBucket"
    Resource  = local.evidence
    Condition = { StringLike = { "s3:prefix" = [for place in local.evidence_places : "${place}/*"] } }
  }

  read_metrics = {
    Sid      = "ReadMetrics"
    Effect   = "Allow"
    Action   = local.unnamed.metrics
    Resource = "*"
  }

  # Actions that IAM cannot tie to a resource.
  unnamed = {
    # Metrics have no ARN.
    metrics = ["cloudwatch:GetMetricData", "cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics"]
    # Listing groups of packages knows no resource; what is in them is tied down separately.
    groups = ["sagemaker:ListModelPackageGroups"]
    # Listing jobs and endpoints knows none either.
    listing = [
      "sagemaker:ListEndpointConfigs", "sagemaker:ListEndpoints", "sagemaker:ListModelPackageGroups", "sagemaker:ListModels",
      "sagemaker:ListProcessingJobs", "sagemaker:ListTrainingJobs",
    ]
    # A query has an id and no ARN, and is stopped by it.
    queries = ["logs:DescribeLogGroups", "logs:StopQuery"]
    # X-Ray has no resource types.
    traces = ["xray:BatchGetTraces", "xray:GetServiceGraph", "xray:GetTraceSummaries"]
    # A subscription is ended by its own ARN, which IAM does not look at.
    unsubscribing = ["sns:Unsubscribe"]
    # CloudTrail's own search, and the list of trails, are the account's.
    trails = ["cloudtrail:DescribeTrails", "cloudtrail:LookupEvents"]
    # Lists of rules and schedules are the bus's and the account's.
    schedules = ["events:ListRules", "scheduler:ListSchedules"]
  }

  # SageMaker keeps names as they are, but writes them in ARNs in lower case.
  group_arns = {
    for team, members in var.teams : team => flatten([
      for group in sort(members.model_package_groups) : [
        "${local.sagemaker_prefix}:model-package-group/${lower(group)}", "${local.sagemaker_prefix}:model-package/${lower(group)}/*",
      ]
    ])
  }
  every_group_arn = ["${local.sagemaker_prefix}:model-package-group/*", "${local.sagemaker_prefix}:model-package/*"]
  run_arns        = [for kind in ["processing-job", "training-job"] : "${local.sagemaker_prefix}:${kind}/${var.name}-*"]
  serving_arns    = [for kind in ["endpoint", "endpoint-config", "model"] : "${local.sagemaker_prefix}:${kind}/*"]
  card_arns       = "${local.sagemaker_prefix}:model-card/${var.name}-*"
}
