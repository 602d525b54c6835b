# Who may do what. Each statement names what it reaches; the few that cannot, because the action knows no
# resource, are in `unnamed` with their reasons, and a test holds the list to that.

locals {
  work     = local.bucket_arns["work"]
  evidence = local.bucket_arns["evidence"]

  # Actions that IAM cannot tie to a resource.
  unnamed = {
    # X-Ray has no resource types.
    tracing = ["xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    # A task token is itself the proof of the right to answer.
    answering = ["states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"]
    # The registry is the account's.
    registry = ["ecr:GetRegistryScanningConfiguration"]
    # A token to pull with names no repository; what may be pulled with it is tied down separately.
    login = ["ecr:GetAuthorizationToken"]
    # Log delivery is set up for the account.
    log_delivery = [
      "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
    ]
    # EC2's describing actions know no resource.
    network = ["ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]
  }

  # Statements that several roles share.
  read_policy = {
    Sid      = "ReadThePolicy"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:GetObjectVersion"]
    Resource = "${local.evidence}/policy/policy.json"
  }
  read_plan = {
    Sid      = "ReadThePlan"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:GetObjectVersion"]
    Resource = "${local.work}/runs/*/plan.json"
  }
  scan_image = {
    Sid      = "ReadFindings"
    Effect   = "Allow"
    Action   = ["ecr:DescribeImageScanFindings", "ecr:DescribeImages"]
    Resource = local.repository_arn
  }
  scan_settings = {
    Sid      = "ReadHowTheRegistryScans"
    Effect   = "Allow"
    Action   = local.unnamed.registry
    Resource = "*"
  }
  encrypt_volumes = {
    # SageMaker attaches encrypted volumes under a grant that the caller makes for it.
    Sid       = "GrantTheKeyToSageMaker"
    Effect    = "Allow"
    Action    = "kms:CreateGrant"
    Resource  = aws_kms_key.data.arn
    Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
  }
  describe_key = {
    Sid      = "DescribeTheDataKey"
    Effect   = "Allow"
    Action   = "kms:DescribeKey"
    Resource = aws_kms_key.data.arn
  }
  pass_job_role = {
    Sid       = "PassTheJobRole"
    Effect    = "Allow"
    Action    = "iam:PassRole"
    Resource  = local.role_arns["job"]
    Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
  }
  notify = {
    Sid      = "Notify"
    Effect   = "Allow"
    Action   = "sns:Publish"
    Resource = local.topic_arn
  }

  # What every function does, and what its environment implies: to be told of a thing is to be allowed its use.
  shared_statements = {
    for verb, function in local.functions : verb => [
      for entry in [
        {
          when = true
          grant = {
            Sid      = "WriteOwnLog"
            Effect   = "Allow"
            Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
            Resource = "${local.log_group_prefix}:${local.function_log_groups[verb]}:*"
          }
        },
        {
          when = true
          grant = {
            Sid      = "Trace"
            Effect   = "Allow"
            Action   = local.unnamed.tracing
            Resource = "*"
          }
        },
        {
          when = true
          grant = {
            Sid      = "UseTheDataKeyThroughServices"
            Effect   = "Allow"
            Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
            Resource = aws_kms_key.data.arn
            Condition = {
              StringEquals = {
                "kms:ViaService" = [
                  for service in ["dynamodb", "lambda", "s3", "secretsmanager", "sns"] :
                  "${service}.${local.region}.${local.dns_suffix}"
                ]
              }
            }
          }
        },
        { when = contains(function.environment, "LOCKSTEP_POLICY_SHA256"), grant = local.read_policy },
        { when = contains(function.environment, "LOCKSTEP_POLICY_SHA256"), grant = local.read_plan },
        {
          when = contains(local.attesting, verb)
          grant = {
            Sid      = "SignOnesOwnLinks"
            Effect   = "Allow"
            Action   = "kms:Sign"
            Resource = [for attesting, key in aws_kms_key.signing : key.arn if attesting == verb]
          }
        },
        {
          when = contains(local.attesting, verb)
          grant = {
            # Reading, too: a retry finds what the first try signed.
            Sid      = "WriteOnesOwnEvidence"
            Effect   = "Allow"
            Action   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
            Resource = "${local.evidence}/${verb == "seal-run" ? "runs/*/record.json" : "runs/*/${verb}/*"}"
          }
        },
        {
          when = contains(local.attesting, verb)
          grant = {
            # Without it an absent object answers 403, which cannot be told from one that may not be read.
            Sid       = "SeeWhetherEvidenceExists"
            Effect    = "Allow"
            Action    = "s3:ListBucket"
            Resource  = local.evidence
            Condition = { StringLike = { "s3:prefix" = ["runs/*"] } }
          }
        },
        {
          when = contains(function.environment, "LOCKSTEP_TABLE")
          grant = {
            Sid      = "Coordinate"
            Effect   = "Allow"
            Action   = local.table_actions[verb]
            Resource = local.table_arn
          }
        },
      ] : entry.grant if entry.when
    ]
  }

  # Every writer claims, replays and releases; the sweep and the seal look through what is left.
  table_actions = {
    for verb, function in local.functions : verb => concat(
      ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
      contains(["resume-execution", "seal-run", "deploy-endpoint"], verb) ? ["dynamodb:Query"] : [],
      verb == "resume-execution" ? ["dynamodb:Scan"] : [],
    )
  }

  own_statements = {
    admit-run = [
      {
        Sid      = "ReadRequests"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = "${local.bucket_arns["intake"]}/requests/*"
      },
      {
        Sid      = "WritePlans"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${local.work}/runs/*/plan.json"
      },
      {
        Sid      = "CheckPinnedData"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = "${local.work}/datasets/*"
      },
      {
        Sid       = "SeeWhetherPlansAndDataExist"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = [local.work, local.bucket_arns["intake"]]
        Condition = { StringLike = { "s3:prefix" = ["datasets/*", "requests/*", "runs/*"] } }
      },
      {
        Sid      = "ResolveTheImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchGetImage", "ecr:DescribeImages"]
        Resource = local.repository_arn
      },
    ]

    download-model = [
      {
        Sid      = "WriteModels"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion", "s3:ListMultipartUploadParts", "s3:PutObject"]
        Resource = ["${local.work}/models/*", "${local.work}/runs/*/transfer/*"]
      },
      {
        Sid       = "ListModels"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = local.work
        Condition = { StringLike = { "s3:prefix" = ["models/*", "runs/*"] } }
      },
      {
        Sid      = "ReadTheHubToken"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = aws_secretsmanager_secret.hub_token.arn
      },
    ]

    scan-gate = [
      local.scan_image,
      local.scan_settings,
      {
        Sid      = "StartAScan"
        Effect   = "Allow"
        Action   = ["ecr:BatchGetImage", "ecr:StartImageScan"]
        Resource = local.repository_arn
      },
    ]

    launch-training = [
      {
        Sid      = "Train"
        Effect   = "Allow"
        Action   = ["sagemaker:AddTags", "sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"]
        Resource = "${local.sagemaker_prefix}:training-job/${var.name}-*"
      },
      {
        Sid      = "ReadWhatTheJobReads"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = ["${local.work}/datasets/training/*", "${local.work}/models/*"]
      },
      {
        Sid       = "ListWhatTheJobReads"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = local.work
        Condition = { StringLike = { "s3:prefix" = ["datasets/training/*", "models/*"] } }
      },
      local.pass_job_role,
      local.encrypt_volumes,
      local.describe_key,
    ]

    seal-artifact = [
      {
        Sid      = "ReadWhatTheJobWrote"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = "${local.work}/runs/*/training/*"
      },
      {
        Sid      = "WriteArtifacts"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion", "s3:ListMultipartUploadParts", "s3:PutObject"]
        Resource = ["${local.work}/artifacts/*", "${local.work}/runs/*/transfer/*"]
      },
      {
        Sid       = "ListByVersion"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = local.work
        Condition = { StringLike = { "s3:prefix" = ["artifacts/*", "runs/*"] } }
      },
    ]

    evaluate-model = [
      {
        Sid      = "Evaluate"
        Effect   = "Allow"
        Action   = ["sagemaker:AddTags", "sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob", "sagemaker:StopProcessingJob"]
        Resource = "${local.sagemaker_prefix}:processing-job/${var.name}-*"
      },
      {
        Sid      = "ReadWhatTheJobReadsAndWrites"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = ["${local.work}/artifacts/*", "${local.work}/datasets/evaluation/*", "${local.work}/models/*", "${local.work}/runs/*/evaluation/*"]
      },
      {
        Sid       = "ListWhatTheJobReadsAndWrites"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = local.work
        Condition = { StringLike = { "s3:prefix" = ["artifacts/*", "datasets/evaluation/*", "models/*", "runs/*"] } }
      },
      local.pass_job_role,
      local.encrypt_volumes,
      local.describe_key,
    ]

    approve-package = [
      {
        Sid    = "Register"
        Effect = "Allow"
        Action = [
          "sagemaker:AddTags", "sagemaker:CreateModelPackage", "sagemaker:CreateModelPackageGroup", "sagemaker:DescribeModelPackage",
          "sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages", "sagemaker:UpdateModelPackage",
        ]
        # A request names its group.
        Resource = ["${local.sagemaker_prefix}:model-package/*", "${local.sagemaker_prefix}:model-package-group/*"]
      },
      {
        Sid      = "ReadWhatIsRegistered"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = ["${local.work}/artifacts/*", "${local.work}/runs/*/evaluation/*"]
      },
      {
        Sid       = "ListWhatIsRegistered"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = local.work
        Condition = { StringLike = { "s3:prefix" = ["artifacts/*", "runs/*"] } }
      },
      local.notify,
    ]

    deploy-endpoint = [
      {
        Sid      = "VerifyTheRunsEvidence"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = "${local.evidence}/runs/*"
      },
      {
        Sid    = "Deploy"
        Effect = "Allow"
        Action = [
          "sagemaker:AddTags", "sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:CreateModel",
          "sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel", "sagemaker:DescribeEndpoint",
          "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel", "sagemaker:InvokeEndpoint", "sagemaker:UpdateEndpoint",
        ]
        Resource = concat(
          [for kind in ["model", "endpoint-config", "endpoint"] : "${local.sagemaker_prefix}:${kind}/${var.name}-*"],
          local.endpoint_arns,
        )
      },
      {
        Sid      = "ReadWhatWasApproved"
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeModelPackage"]
        Resource = "${local.sagemaker_prefix}:model-package/*"
      },
      {
        Sid      = "ReadWhatIsServed"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = "${local.work}/artifacts/*"
      },
      {
        Sid       = "ListWhatIsServed"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = local.work
        Condition = { StringLike = { "s3:prefix" = ["artifacts/*"] } }
      },
      {
        Sid       = "PassTheEndpointRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = local.role_arns["endpoint"]
        Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
      },
      {
        # A deployment configuration names alarms, and SageMaker asks whether its caller may see them.
        Sid      = "SeeTheAlarms"
        Effect   = "Allow"
        Action   = "cloudwatch:DescribeAlarms"
        Resource = [for name in flatten(values(local.alarm_names)) : "arn:${local.partition}:cloudwatch:${local.region}:${local.account_id}:alarm:${name}"]
      },
      local.encrypt_volumes,
      local.describe_key,
    ]

    resume-execution = [
      {
        Sid      = "AnswerTasks"
        Effect   = "Allow"
        Action   = local.unnamed.answering
        Resource = "*"
      },
      {
        Sid      = "SeeWhetherAnExecutionRuns"
        Effect   = "Allow"
        Action   = "states:DescribeExecution"
        Resource = local.execution_arns
      },
      {
        Sid    = "DescribeWhatChanged"
        Effect = "Allow"
        Action = [
          "sagemaker:DescribeEndpoint", "sagemaker:DescribeModelPackage", "sagemaker:DescribeProcessingJob",
          "sagemaker:DescribeTrainingJob",
        ]
        Resource = concat(
          [for kind in ["processing-job", "training-job"] : "${local.sagemaker_prefix}:${kind}/${var.name}-*"],
          ["${local.sagemaker_prefix}:model-package/*"],
          local.endpoint_arns,
        )
      },
      {
        Sid      = "StopWhatNobodyWaitsFor"
        Effect   = "Allow"
        Action   = ["sagemaker:StopProcessingJob", "sagemaker:StopTrainingJob"]
        Resource = [for kind in ["processing-job", "training-job"] : "${local.sagemaker_prefix}:${kind}/${var.name}-*"]
      },
      local.scan_image,
      local.scan_settings,
      {
        Sid      = "SealWhatWasLeft"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = local.function_arns["seal-run"]
      },
    ]

    seal-run = [
      {
        Sid      = "ReadTheRunsEvidence"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = "${local.evidence}/runs/*"
      },
      {
        Sid       = "ListTheRunsEvidence"
        Effect    = "Allow"
        Action    = "s3:ListBucketVersions"
        Resource  = local.evidence
        Condition = { StringLike = { "s3:prefix" = ["runs/*"] } }
      },
      local.read_plan,
      {
        Sid      = "FindUnfinishedUploads"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = local.work
      },
      {
        Sid      = "AbortUnfinishedUploads"
        Effect   = "Allow"
        Action   = "s3:AbortMultipartUpload"
        Resource = ["${local.work}/artifacts/*", "${local.work}/models/*"]
      },
      {
        Sid      = "SeeHowItEnded"
        Effect   = "Allow"
        Action   = "states:DescribeExecution"
        Resource = local.execution_arns
      },
      {
        Sid    = "StopWhatIsLeft"
        Effect = "Allow"
        Action = [
          "sagemaker:DescribeProcessingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopProcessingJob",
          "sagemaker:StopTrainingJob",
        ]
        Resource = [for kind in ["processing-job", "training-job"] : "${local.sagemaker_prefix}:${kind}/${var.name}-*"]
      },
      local.notify,
    ]
  }

  # SageMaker keeps names as they are, but writes them in ARNs in lower case.
  endpoint_arns = [for name in keys(var.endpoints) : "${local.sagemaker_prefix}:endpoint/${lower(name)}"]
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name        = local.role_names[each.key]
  description = "What ${each.key} may do"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = "permissions"
  role = aws_iam_role.function[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.shared_statements[each.key], local.own_statements[each.key])
  })
}
