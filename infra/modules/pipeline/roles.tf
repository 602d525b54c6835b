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
    # A token to pull with names no repository; what may be pulled with it is tied down separately.
    login = ["ecr:GetAuthorizationToken"]
    # Log delivery is set up for the account.
    log_delivery = [
      "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
    ]
    # EC2's describing actions know no resource.
    attaching = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
    network   = ["ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]
  }

  # What Lambda does for a function in a VPC.
  attaching = ["ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:UnassignPrivateIpAddresses"]

  # Statements that several roles share.
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
  # Unconditional on purpose: without it an absent object answers 403, which cannot be told from one that may not
  # be read, and a condition on the prefix is never met by the request for an object.
  list_work = {
    Sid      = "TellAbsentFromForbidden"
    Effect   = "Allow"
    Action   = "s3:ListBucket"
    Resource = local.work
  }
  # An upload whose creation was not answered is known by its object's key alone. No prefix can be demanded of this
  # listing: S3 knows `s3:prefix` for listings of objects and of versions only.
  list_work_uploads = {
    Sid      = "FindUploadsLeftOpen"
    Effect   = "Allow"
    Action   = "s3:ListBucketMultipartUploads"
    Resource = local.work
  }
  read_trust_root = {
    Sid      = "ReadTheTrustRoot"
    Effect   = "Allow"
    Action   = "s3:GetObjectVersion"
    Resource = "${local.evidence}/policy/trust-root.json"
  }
  list_work_versions = {
    Sid      = "TellAbsentFromForbiddenByVersion"
    Effect   = "Allow"
    Action   = ["s3:ListBucket", "s3:ListBucketVersions"]
    Resource = local.work
  }

  checkpoints = "${local.work}/runs/*/transfer/*"

  training_data   = [for prefix in local.policy.data.training_prefixes : "${local.work}/${prefix}*"]
  evaluation_data = [for prefix in local.policy.data.evaluation_prefixes : "${local.work}/${prefix}*"]

  # Who reads what each run was admitted as, and who the policy itself and not its digest alone.
  plan_readers   = ["approve-package", "deploy-endpoint", "download-model", "evaluate-model", "launch-training", "scan-gate", "seal-artifact"]
  policy_readers = ["admit-run", "approve-package", "download-model", "respond-incident", "scan-gate"]

  # Who writes objects, or messages.
  writing = setunion(local.attesting, local.woken_by_events, ["monitor-drift"])

  # Who waits, and so records a wait, and answers it at once where there is nothing left to wait for.
  waiting = ["approve-package", "deploy-endpoint", "evaluate-model", "launch-training", "scan-gate"]

  table_actions = {
    admit-run        = ["dynamodb:GetItem", "dynamodb:PutItem"]
    approve-package  = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"]
    deploy-endpoint  = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"]
    evaluate-model   = ["dynamodb:DeleteItem", "dynamodb:PutItem"]
    launch-training  = ["dynamodb:DeleteItem", "dynamodb:PutItem"]
    respond-incident = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    resume-execution = ["dynamodb:DeleteItem", "dynamodb:Query"]
    scan-gate        = ["dynamodb:DeleteItem", "dynamodb:PutItem"]
    seal-run         = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"]
  }

  read_captures = {
    Sid      = "ReadCaptures"
    Effect   = "Allow"
    Action   = "s3:GetObject"
    Resource = [for name in var.endpoint_names : "${local.work}/capture/${name}/*"]
  }
  find_captures = {
    Sid       = "FindCaptures"
    Effect    = "Allow"
    Action    = "s3:ListBucket"
    Resource  = local.work
    Condition = { StringLike = { "s3:prefix" = [for name in var.endpoint_names : "capture/${name}/*"] } }
  }

  # Application Auto Scaling asks whether its caller may do what it will do for it. Nothing, where no endpoint is scaled.
  # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html
  scaled_arns = [for name in keys(var.autoscaling) : "${local.sagemaker_prefix}:endpoint/${lower(name)}"]
  scalers     = { for verb, statements in local.scaling_statements : verb => statements if length(var.autoscaling) > 0 }
  scaling_statements = {
    deploy-endpoint = [
      {
        Sid    = "Scale"
        Effect = "Allow"
        Action = [
          "application-autoscaling:DeregisterScalableTarget", "application-autoscaling:PutScalingPolicy", "application-autoscaling:RegisterScalableTarget",
        ]
        Resource  = local.scalable_targets
        Condition = { StringEquals = { "application-autoscaling:service-namespace" = "sagemaker" } }
      },
      {
        Sid      = "LetItBeScaled"
        Effect   = "Allow"
        Action   = "sagemaker:UpdateEndpointWeightsAndCapacities"
        Resource = local.scaled_arns
      },
      {
        Sid      = "LetAlarmsScaleIt"
        Effect   = "Allow"
        Action   = ["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"]
        Resource = "arn:${local.partition}:cloudwatch:${local.region}:${local.account_id}:alarm:TargetTracking-endpoint/*"
      },
      {
        Sid       = "LetTheScalerHaveItsRole"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "arn:${local.partition}:iam::${local.account_id}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
        Condition = { StringEquals = { "iam:AWSServiceName" = "sagemaker.application-autoscaling.amazonaws.com" } }
      },
      {
        # To see whether an update changes the instance type, which SageMaker refuses for a variant that is scaled.
        Sid      = "SeeWhatTypeServes"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeEndpointConfig"
        Resource = local.configuration_arns
      },
    ]
    # SageMaker takes an endpoint that it deletes off autoscaling, if whoever deletes it may do so.
    # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-delete-with-scaling.html
    respond-incident = [local.unscale]
    seal-run         = [local.unscale]
  }
  unscale = {
    Sid       = "TakeWhatIsDeletedOffAutoscaling"
    Effect    = "Allow"
    Action    = "application-autoscaling:DeregisterScalableTarget"
    Resource  = local.scalable_targets
    Condition = { StringEquals = { "application-autoscaling:service-namespace" = "sagemaker" } }
  }
  scalable_targets = "arn:${local.partition}:application-autoscaling:${local.region}:${local.account_id}:scalable-target/*"

  # What each function does because of what it is: it logs, signs, waits, coordinates.
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
            Sid    = "UseTheDataKeyThroughServices"
            Effect = "Allow"
            # Who writes nothing but items, which the table's own grant encrypts, only reads.
            Action   = concat(["kms:Decrypt"], contains(local.writing, verb) ? ["kms:GenerateDataKey"] : [])
            Resource = aws_kms_key.data.arn
            Condition = {
              StringEquals = {
                "kms:ViaService" = [
                  for service in concat(["dynamodb", "lambda", "s3", "secretsmanager", "sns"], contains(local.woken_by_events, verb) ? ["sqs"] : []) :
                  "${service}.${local.region}.${local.dns_suffix}"
                ]
              }
            }
          }
        },
        {
          # Lambda sends an event that it gave up on under the function's role.
          when = contains(local.woken_by_events, verb)
          grant = {
            Sid      = "KeepWhatItCouldNotHandle"
            Effect   = "Allow"
            Action   = "sqs:SendMessage"
            Resource = local.dead_letter_arn
          }
        },
        {
          when = contains(local.inside_the_network, verb)
          grant = {
            Sid    = "AttachToTheSubnets"
            Effect = "Allow"
            Action = local.attaching
            # Lambda tries the role before there is an interface, and wants every id of the account or one that is there.
            Resource = "arn:${local.partition}:ec2:${local.region}:${local.account_id}:*/*"
          }
        },
        {
          when = contains(local.inside_the_network, verb)
          grant = {
            Sid      = "LookAtTheSubnets"
            Effect   = "Allow"
            Action   = local.unnamed.attaching
            Resource = "*"
          }
        },
        {
          # Lambda needs the grant, and the function's own code does not.
          when = contains(local.inside_the_network, verb)
          grant = {
            Sid       = "AttachAsLambdaOnly"
            Effect    = "Deny"
            Action    = concat(local.attaching, local.unnamed.attaching)
            Resource  = "*"
            Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arns[verb] } }
          }
        },
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
          when = contains(local.resuming, verb)
          grant = {
            Sid      = "DeriveTheCheckpointKey"
            Effect   = "Allow"
            Action   = "kms:GenerateMac"
            Resource = aws_kms_key.checkpoint.arn
          }
        },
        {
          when = contains(local.resuming, verb)
          grant = {
            # Reading, too: S3 asks for both where a write is conditional on what is there.
            Sid      = "KeepItsPlaceBetweenCalls"
            Effect   = "Allow"
            Action   = ["s3:GetObject", "s3:PutObject"]
            Resource = local.checkpoints
          }
        },
        {
          when = contains(local.attesting, verb)
          grant = {
            # Reading, too: a retry finds what the first try signed.
            Sid      = "WriteOnesOwnEvidence"
            Effect   = "Allow"
            Action   = ["s3:GetObject", "s3:PutObject"]
            Resource = [for place in try(local.evidence_places[verb], []) : "${local.evidence}/${place}"]
          }
        },
        {
          when = contains(local.policy_readers, verb)
          grant = {
            Sid      = "ReadThePolicy"
            Effect   = "Allow"
            Action   = "s3:GetObjectVersion"
            Resource = "${local.evidence}/policy/policy.json"
          }
        },
        {
          when = contains(local.plan_readers, verb)
          grant = {
            Sid      = "ReadThePlan"
            Effect   = "Allow"
            Action   = "s3:GetObject"
            Resource = "${local.work}/runs/*/plan.json"
          }
        },
        {
          when = contains(function.environment, "LOCKSTEP_TABLE")
          grant = {
            Sid      = "Coordinate"
            Effect   = "Allow"
            Action   = try(local.table_actions[verb], [])
            Resource = local.table_arn
          }
        },
        {
          when = contains(local.waiting, verb)
          grant = {
            Sid      = "AnswerAtOnce"
            Effect   = "Allow"
            Action   = "states:SendTaskSuccess"
            Resource = "*" # see `unnamed.answering`
          }
        },
      ] : entry.grant if entry.when
    ]
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
        Sid      = "SeeWhatIsPromoted"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.bucket_arns["intake"]}/promotions/*/evidence.json"
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
        Resource = concat(local.training_data, local.evaluation_data)
      },
      {
        # The run whose model drifted: what it was asked for, where it came from, what it reached.
        Sid      = "ReadTheChampion"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for link in ["download-model/seal-model.json", "evaluate-model/judge-metrics.json"] : "${local.evidence}/runs/*/${link}"]
      },
      {
        Sid      = "ReadWhatDrifted"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.work}/drift/*"
      },
      {
        Sid      = "TellAbsentFromForbidden"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = [local.work, local.bucket_arns["intake"]]
      },
      {
        Sid      = "ResolveTheImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchGetImage", "ecr:DescribeRepositories"]
        Resource = local.repository_arn
      },
    ]

    download-model = [
      {
        # To see whether the signature that an earlier run left beside the weights is its own.
        Sid      = "ReadItsOwnPublicKey"
        Effect   = "Allow"
        Action   = "kms:GetPublicKey"
        Resource = aws_kms_key.signing["download-model"].arn
      },
      {
        Sid    = "WriteModels"
        Effect = "Allow"
        # A file that another commit has too is copied by version.
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
        Resource = "${local.work}/models/*"
      },
      local.list_work,
      local.list_work_uploads,
      {
        Sid      = "ReadTheHubToken"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = aws_secretsmanager_secret.hub_token.arn
      },
    ]

    scan-gate = [
      {
        Sid      = "ScanAndReadFindings"
        Effect   = "Allow"
        Action   = ["ecr:DescribeImageScanFindings", "ecr:StartImageScan"]
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
        Sid      = "SeeWhichDataIsLatest"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = local.training_data
      },
      {
        Sid      = "ReadTheModelsManifest"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.evidence}/runs/*/download-model/*"
      },
      {
        Sid      = "VerifyWhatIsPromoted"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.bucket_arns["intake"]}/promotions/*/evidence.json"
      },
      local.read_trust_root,
      local.list_work_versions,
      local.pass_job_role,
      local.encrypt_volumes,
      local.describe_key,
    ]

    seal-artifact = [
      {
        Sid      = "ReadWhatTheJobWrote"
        Effect   = "Allow"
        Action   = "s3:GetObjectVersion" # as it was listed, whatever lies over it now
        Resource = ["${local.work}/runs/*/training/*", "${local.bucket_arns["intake"]}/promotions/*/artifact/*"]
      },
      {
        Sid       = "ListWhatIsPromoted"
        Effect    = "Allow"
        Action    = "s3:ListBucketVersions"
        Resource  = local.bucket_arns["intake"]
        Condition = { StringLike = { "s3:prefix" = "promotions/*/artifact/" } }
      },
      {
        Sid      = "WriteArtifacts"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = "${local.work}/artifacts/*"
      },
      local.list_work_versions,
      local.list_work_uploads,
    ]

    evaluate-model = [
      {
        Sid      = "Evaluate"
        Effect   = "Allow"
        Action   = ["sagemaker:AddTags", "sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob", "sagemaker:StopProcessingJob"]
        Resource = "${local.sagemaker_prefix}:processing-job/${var.name}-*"
      },
      {
        Sid      = "SeeWhichDataIsLatest"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = local.evaluation_data
      },
      {
        Sid      = "ReadMetrics"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.work}/runs/*/evaluation/*"
      },
      {
        Sid      = "ReadTheArtifactsManifest"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.evidence}/runs/*/seal-artifact/*"
      },
      {
        Sid      = "WriteBaselines"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${local.work}/baselines/*"
      },
      local.list_work_versions,
      local.pass_job_role,
      local.encrypt_volumes,
      local.describe_key,
    ]

    approve-package = [
      {
        Sid    = "Register"
        Effect = "Allow"
        Action = [
          "sagemaker:CreateModelPackage", "sagemaker:CreateModelPackageGroup", "sagemaker:DescribeModelPackage",
          "sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages", "sagemaker:UpdateModelPackage",
        ]
        # A request names its group.
        Resource = ["${local.sagemaker_prefix}:model-package/*", "${local.sagemaker_prefix}:model-package-group/*"]
      },
      {
        Sid      = "WriteTheModelCard"
        Effect   = "Allow"
        Action   = "sagemaker:CreateModelCard"
        Resource = "${local.sagemaker_prefix}:model-card/${var.name}-*"
      },
      {
        Sid    = "WriteLineage"
        Effect = "Allow"
        Action = [
          "sagemaker:AddAssociation", "sagemaker:CreateAction", "sagemaker:CreateArtifact", "sagemaker:DescribeAction",
        ]
        Resource = ["${local.sagemaker_prefix}:action/${var.name}-*", "${local.sagemaker_prefix}:artifact/*"]
      },
      {
        # Listing knows no narrower resource.
        Sid      = "FindWhatLineageKnows"
        Effect   = "Allow"
        Action   = "sagemaker:ListArtifacts"
        Resource = "*"
      },
      {
        # A request names its group, and so its experiment.
        Sid    = "TrackTheExperiment"
        Effect = "Allow"
        Action = [
          "sagemaker:AssociateTrialComponent", "sagemaker:CreateExperiment", "sagemaker:CreateTrial", "sagemaker:CreateTrialComponent",
        ]
        Resource = [
          "${local.sagemaker_prefix}:experiment/*",
          "${local.sagemaker_prefix}:experiment-trial/${var.name}-*",
          "${local.sagemaker_prefix}:experiment-trial-component/${var.name}-*",
        ]
      },
      {
        Sid      = "ReadWhatTheCardTells"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for verb in ["admit-run", "download-model", "evaluate-model", "launch-training", "scan-gate", "seal-artifact"] : "${local.evidence}/runs/*/${verb}/*"]
      },
      {
        Sid      = "SeeWhatServesNow"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeEndpoint"
        Resource = local.endpoint_arns
      },
      local.notify,
    ]

    deploy-endpoint = [
      {
        Sid      = "VerifyTheRunsEvidence"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.evidence}/runs/*"
      },
      local.read_trust_root,
      {
        Sid      = "SeeWhatIsRevoked"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.evidence}/revoked/*"
      },
      {
        Sid      = "TellAbsentEvidenceFromForbidden"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = local.evidence
      },
      {
        Sid    = "Deploy"
        Effect = "Allow"
        Action = [
          "sagemaker:AddTags", "sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:CreateModel",
          "sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpoint",
        ]
        Resource = concat(local.serving_arns, local.endpoint_arns, local.smoke_test_arns)
      },
      {
        # Its own temporary endpoint alone: what serves is seal-run's and respond-incident's to take down.
        Sid    = "SmokeTest"
        Effect = "Allow"
        Action = [
          "sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel", "sagemaker:InvokeEndpoint",
        ]
        Resource = concat(local.smoke_test_arns, [for kind in ["endpoint-config", "model"] : "${local.sagemaker_prefix}:${kind}/${var.name}-*-smoke"])
      },
      # To ask a new version what callers asked the one before.
      local.read_captures,
      local.find_captures,
      {
        Sid      = "SeeWhetherItIsStillApproved"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeModelPackage"
        Resource = "${local.sagemaker_prefix}:model-package/*"
      },
      local.list_work_versions,
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
        Resource = local.alarm_arns
      },
      local.encrypt_volumes,
      local.describe_key,
    ]

    monitor-drift = [
      {
        Sid      = "SeeWhatServes"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeEndpoint"
        Resource = local.endpoint_arns
      },
      {
        # When it was deployed, its plan, and the digest of its baseline.
        Sid    = "ReadWhatTheRunProves"
        Effect = "Allow"
        Action = "s3:GetObject"
        Resource = [
          for file in ["admit-run/admit.json", "admit-run/plan.json", "deploy-endpoint/deploy.json", "evaluate-model/judge-metrics.json"] :
          "${local.evidence}/runs/*/${file}"
        ]
      },
      local.read_captures,
      {
        Sid      = "ReadBaselines"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.work}/baselines/*"
      },
      {
        # What turned out to be true of it, brought later.
        Sid      = "ReadLabels"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for name in var.endpoint_names : "${local.work}/labels/${name}/*"]
      },
      {
        # Captures, labels, and the names of what was judged before, which say until when.
        Sid      = "FindCaptures"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = local.work
        Condition = {
          StringLike = {
            "s3:prefix" = concat(
              flatten([for name in var.endpoint_names : ["capture/${name}/*", "labels/${name}/*"]]),
              [for name in var.endpoint_names : "drift/${name}/*/quality/"],
            )
          }
        }
      },
      {
        Sid      = "WriteReports"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = [for name in var.endpoint_names : "${local.work}/drift/${name}/*"]
      },
      {
        Sid       = "TellOfDrift"
        Effect    = "Allow"
        Action    = "events:PutEvents"
        Resource  = "arn:${local.partition}:events:${local.region}:${local.account_id}:event-bus/default"
        Condition = { StringEquals = { "events:source" = "lockstep" } }
      },
    ]

    respond-incident = [
      {
        Sid      = "VerifyRunsAgain"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.evidence}/runs/*"
      },
      {
        Sid      = "ListRunsEvidence"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = local.evidence
      },
      local.read_trust_root,
      {
        Sid      = "SeeWhetherTheArtifactIsUnchanged"
        Effect   = "Allow"
        Action   = "s3:ListBucketVersions"
        Resource = local.work
      },
      {
        Sid      = "SeeTheAlarms"
        Effect   = "Allow"
        Action   = "cloudwatch:DescribeAlarms"
        Resource = local.alarm_arns
      },
      {
        Sid      = "ScanWhatServesAndReadFindings"
        Effect   = "Allow"
        Action   = ["ecr:DescribeImageScanFindings", "ecr:StartImageScan"]
        Resource = local.repository_arn
      },
      {
        Sid      = "SeeWhatWouldServe"
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"]
        Resource = local.serving_arns
      },
      {
        # An update asks for both, the endpoint and the configuration that it is to serve.
        Sid      = "RollBack"
        Effect   = "Allow"
        Action   = "sagemaker:UpdateEndpoint"
        Resource = concat(local.configuration_arns, local.endpoint_arns)
      },
      {
        Sid      = "SeeWhatServes"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeEndpoint"
        Resource = local.endpoint_arns
      },
      {
        Sid      = "Isolate"
        Effect   = "Allow"
        Action   = "sagemaker:DeleteEndpoint"
        Resource = local.endpoint_arns
      },
      {
        # A request names its group.
        Sid      = "Reject"
        Effect   = "Allow"
        Action   = "sagemaker:UpdateModelPackage"
        Resource = "${local.sagemaker_prefix}:model-package/*"
      },
      {
        Sid      = "TellOfIncidents"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = local.alerts_arn
      },
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
        Resource = concat(local.job_arns, ["${local.sagemaker_prefix}:model-package/*"], local.endpoint_arns, local.smoke_test_arns)
      },
      {
        Sid      = "DescribeScans"
        Effect   = "Allow"
        Action   = "ecr:DescribeImageScanFindings"
        Resource = local.repository_arn
      },
      {
        Sid      = "StopWhatNobodyWaitsFor"
        Effect   = "Allow"
        Action   = ["sagemaker:StopProcessingJob", "sagemaker:StopTrainingJob"]
        Resource = local.job_arns
      },
    ]

    seal-run = [
      {
        Sid      = "ReadTheRunsEvidence"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.evidence}/runs/*"
      },
      {
        Sid      = "ListTheRunsEvidence"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = local.evidence
      },
      {
        Sid      = "SeeHowItEnded"
        Effect   = "Allow"
        Action   = ["states:DescribeExecution", "states:GetExecutionHistory"]
        Resource = local.execution_arns
      },
      {
        Sid      = "StopWhatIsLeft"
        Effect   = "Allow"
        Action   = ["sagemaker:StopProcessingJob", "sagemaker:StopTrainingJob"]
        Resource = local.job_arns
      },
      {
        # A function may outlive its run: over its checkpoint lies a tombstone then, and its next write fails.
        Sid      = "EndTransfersOfEndedRuns"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = local.checkpoints
      },
      {
        Sid      = "AbortTheirUploads"
        Effect   = "Allow"
        Action   = "s3:AbortMultipartUpload"
        Resource = [for prefix in sort(keys(local.write_once)) : "${local.work}/${prefix}/*"]
      },
      local.list_work,
      local.list_work_uploads,
      {
        Sid    = "WithdrawWhatWasNotDeployed"
        Effect = "Allow"
        Action = [
          "sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel", "sagemaker:DescribeEndpoint",
        ]
        Resource = concat(local.serving_arns, local.endpoint_arns, local.smoke_test_arns)
      },
      local.notify,
    ]
  }

  # Named after the run that made them.
  job_arns           = [for kind in ["processing-job", "training-job"] : "${local.sagemaker_prefix}:${kind}/${var.name}-*"]
  configuration_arns = ["${local.sagemaker_prefix}:endpoint-config/${var.name}-*"]
  serving_arns       = [for kind in ["endpoint-config", "model"] : "${local.sagemaker_prefix}:${kind}/${var.name}-*"]

  alarm_arns = [for name in flatten(values(local.alarm_names)) : "arn:${local.partition}:cloudwatch:${local.region}:${local.account_id}:alarm:${name}"]

  # SageMaker keeps names as they are, but writes them in ARNs in lower case.
  smoke_test_arns = ["${local.sagemaker_prefix}:endpoint/${var.name}-*-smoke"]
  endpoint_arns   = [for name in var.endpoint_names : "${local.sagemaker_prefix}:endpoint/${lower(name)}"]
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = local.role_names[each.key]
  description          = "What ${each.key} may do"
  permissions_boundary = aws_iam_policy.boundary.arn

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

  #parliament:skip=RESOURCE_MISMATCH(ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:UnassignPrivateIpAddresses):Every id of the account, as Lambda demands, holds interfaces and subnets too
  #parliament:skip=UNKNOWN_CONDITION_FOR_ACTION(ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, ec2:DeleteNetworkInterface, ec2:UnassignPrivateIpAddresses):A call by a function's code has lambda:SourceFunctionArn, whatever the service
  #parliament:skip=UNKNOWN_CONDITION_FOR_ACTION(ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets):A call by a function's code has lambda:SourceFunctionArn, whatever the service
  #parliament:skip=RESOURCE_MISMATCH(sagemaker:AddAssociation):An association has two ends, here an action and artifacts; it asks for every kind that an end can be
  #parliament:skip=RESOURCE_MISMATCH(states:DescribeExecution):The pipeline is a standard state machine; express executions are another kind, which it has none of
  name = "permissions"
  role = aws_iam_role.function[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.shared_statements[each.key], local.own_statements[each.key], try(local.scalers[each.key], []))
  })
}
