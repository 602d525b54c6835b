# An endpoint's policy is the wall that a stolen credential, or a container with one of its own, meets on its way out:
# whose identity may pass (this account's) to whose resource (this account's, by name where a name is known). What
# each role may do is the roles' matter; here are the actions that anything inside has a reason to call, so that from
# inside no key, queue, bucket or log can be administered whoever asks.
locals {
  ours         = { StringEquals = { "aws:PrincipalAccount" = local.account_id } }
  ours_on_ours = { StringEquals = { "aws:PrincipalAccount" = local.account_id, "aws:ResourceAccount" = local.account_id } }

  # Most of what is reached has this shape of ARN.
  regional = { for service in ["application-autoscaling", "dynamodb", "ecr", "events", "kms", "logs", "sagemaker", "secretsmanager", "sns", "states"] :
    service => "arn:${local.partition}:${service}:${local.region}:${local.account_id}"
  }

  pull_images = [
    {
      Sid    = "PullAndJudgeImages"
      Effect = "Allow"
      Action = [
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:DescribeImageScanFindings", "ecr:DescribeImages",
        "ecr:DescribeRepositories", "ecr:GetDownloadUrlForLayer", "ecr:StartImageScan",
      ]
      Resource = "${local.regional.ecr}:repository/${var.name}/*"
    },
    {
      # A token to pull with names no repository.
      Sid      = "LogInToTheRegistry"
      Effect   = "Allow"
      Action   = "ecr:GetAuthorizationToken"
      Resource = "*"
    },
  ]

  # Each statement gets `Principal` and, unless it has one, the condition that the caller is this account's.
  interface_statements = {
    "application-autoscaling" = [{
      Sid    = "Scale"
      Effect = "Allow"
      Action = [
        "application-autoscaling:DeregisterScalableTarget", "application-autoscaling:PutScalingPolicy",
        "application-autoscaling:RegisterScalableTarget",
      ]
      Resource = "${local.regional["application-autoscaling"]}:scalable-target/*"
    }]

    "ecr.api" = local.pull_images
    "ecr.dkr" = local.pull_images

    events = [{
      Sid      = "SendEvents"
      Effect   = "Allow"
      Action   = "events:PutEvents"
      Resource = "${local.regional.events}:event-bus/default"
    }]

    # Signing, and encrypting what goes through no other service. Keys are named by id.
    kms = [{
      Sid    = "UseKeysWithoutAdministeringThem"
      Effect = "Allow"
      Action = [
        "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:GenerateMac", "kms:GetPublicKey", "kms:Sign", "kms:Verify",
      ]
      Resource = "${local.regional.kms}:key/*"
    }]

    logs = [{
      Sid      = "WriteLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = ["${local.regional.logs}:log-group:/aws/*", "${local.regional.logs}:log-group:/aws/*:log-stream:*"]
    }]

    monitoring = [
      {
        # Metrics have no ARN, and are always the caller's account's.
        Sid      = "WriteMetrics"
        Effect   = "Allow"
        Action   = "cloudwatch:PutMetricData"
        Resource = "*"
      },
      {
        Sid      = "SeeAlarms"
        Effect   = "Allow"
        Action   = "cloudwatch:DescribeAlarms"
        Resource = "arn:${local.partition}:cloudwatch:${local.region}:${local.account_id}:alarm:${var.name}-*"
      },
    ]

    # The names of groups, packages and experiments are the requests' to choose, so the account is the wall here. A test
    # holds the list to what the pipeline's functions may call: one that learns another call must be let through, too.
    "sagemaker.api" = [
      {
        Sid    = "RunTrainJudgeRegisterAndDeploy"
        Effect = "Allow"
        Action = [
          "sagemaker:AddAssociation", "sagemaker:AddTags", "sagemaker:AssociateTrialComponent", "sagemaker:CreateAction",
          "sagemaker:CreateArtifact", "sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:CreateExperiment",
          "sagemaker:CreateModel", "sagemaker:CreateModelCard", "sagemaker:CreateModelPackage", "sagemaker:CreateModelPackageGroup",
          "sagemaker:CreateProcessingJob", "sagemaker:CreateTrainingJob", "sagemaker:CreateTrial", "sagemaker:CreateTrialComponent",
          "sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel", "sagemaker:DescribeAction",
          "sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel",
          "sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup", "sagemaker:DescribeProcessingJob",
          "sagemaker:DescribeTrainingJob", "sagemaker:ListModelPackages", "sagemaker:StopProcessingJob",
          "sagemaker:StopTrainingJob", "sagemaker:UpdateEndpoint", "sagemaker:UpdateModelPackage",
        ]
        Resource = "${local.regional.sagemaker}:*"
      },
      {
        # Listing knows no narrower resource.
        Sid      = "FindWhatLineageKnows"
        Effect   = "Allow"
        Action   = "sagemaker:ListArtifacts"
        Resource = "*"
      },
    ]

    "sagemaker.runtime" = [{
      Sid      = "Invoke"
      Effect   = "Allow"
      Action   = ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync", "sagemaker:InvokeEndpointWithResponseStream"]
      Resource = "${local.regional.sagemaker}:endpoint/*"
    }]

    # RDS names the secrets that it manages itself.
    secretsmanager = [{
      Sid      = "ReadSecrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
      Resource = [for pattern in ["${var.name}/*", "${var.name}-*", "rds!*"] : "${local.regional.secretsmanager}:secret:${pattern}"]
    }]

    sns = [{
      Sid      = "Notify"
      Effect   = "Allow"
      Action   = "sns:Publish"
      Resource = "${local.regional.sns}:${var.name}-*"
    }]

    states = [
      {
        # A task token is itself the proof of the right to answer, and names no resource.
        Sid      = "AnswerTasks"
        Effect   = "Allow"
        Action   = ["states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"]
        Resource = "*"
      },
      {
        Sid    = "StartAndWatchRuns"
        Effect = "Allow"
        Action = ["states:DescribeExecution", "states:GetExecutionHistory", "states:StartExecution"]
        Resource = [
          "${local.regional.states}:stateMachine:${var.name}-*",
          "${local.regional.states}:execution:${var.name}-*:*",
        ]
      },
    ]

    sts = [
      {
        # Knows no resource.
        Sid      = "AskWhoOneIs"
        Effect   = "Allow"
        Action   = "sts:GetCallerIdentity"
        Resource = "*"
      },
      {
        Sid      = "AssumeLockstepsRoles"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = "arn:${local.partition}:iam::${local.account_id}:role/${var.name}-*"
      },
    ]

    # X-Ray has no resource types.
    xray = [{
      Sid      = "Trace"
      Effect   = "Allow"
      Action   = ["xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"]
      Resource = "*"
    }]
  }

  interface_policies = {
    for service, statements in local.interface_statements : service => jsonencode({
      Version = "2012-10-17"
      Statement = [
        for statement in statements : merge(statement, { Principal = "*", Condition = local.ours })
      ]
    })
  }

  bucket_arns = concat(
    ["arn:${local.partition}:s3:::${var.name}-*"],
    [for bucket in var.bucket_names : "arn:${local.partition}:s3:::${bucket}"],
  )

  gateway_policies = {
    # Names of buckets are anybody's to take, so the name alone would let data out to a stranger's `<name>-x`: the
    # owner's account must be this one too.
    s3 = jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "ListTheBuckets"
          Effect    = "Allow"
          Principal = "*"
          Action    = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"]
          Resource  = local.bucket_arns
          Condition = local.ours_on_ours
        },
        {
          Sid       = "ReadAndWriteTheirObjects"
          Effect    = "Allow"
          Principal = "*"
          Action = [
            "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:GetObjectAttributes", "s3:GetObjectTagging",
            "s3:GetObjectVersion", "s3:GetObjectVersionTagging", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectTagging",
          ]
          Resource  = [for arn in local.bucket_arns : "${arn}/*"]
          Condition = local.ours_on_ours
        },
        {
          # ECR keeps layers in a bucket of its own, and hands out addresses that it signed itself: the identity there
          # is ECR's, and the account too.
          Sid       = "PullLayers"
          Effect    = "Allow"
          Principal = "*"
          Action    = "s3:GetObject"
          Resource  = "arn:${local.partition}:s3:::prod-${local.region}-starport-layer-bucket/*"
        },
      ]
    })

    dynamodb = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "Coordinate"
        Effect    = "Allow"
        Principal = "*"
        Action = [
          "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem",
        ]
        Resource  = "${local.regional.dynamodb}:table/${var.name}-*"
        Condition = local.ours
      }]
    })
  }
}
