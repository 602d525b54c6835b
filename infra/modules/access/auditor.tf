# Reads what was decided, by whom, under which policy, and whether the walls stand. Writes answers to its own questions.
locals {
  # So that statements about it can be written out, and left out, where there is none.
  audit = var.audit == null ? {
    trail_arn = "", trail_bucket_arn = "", access_log_bucket_arn = "", athena_workgroup = "", glue_database = "", results_arn = "", key_arn = ""
  } : var.audit

  auditor_statements = concat(
    [
      {
        Sid    = "ReadTheRecord"
        Effect = "Allow"
        Action = ["s3:GetObject", "s3:GetObjectLegalHold", "s3:GetObjectRetention", "s3:GetObjectVersion"]
        Resource = concat(
          ["${local.evidence}/*", "${local.intake}/requests/*", "${local.work}/runs/*/plan.json"],
          var.audit == null ? [] : [for arn in [var.audit.trail_bucket_arn, var.audit.access_log_bucket_arn] : "${arn}/*"],
        )
      },
      {
        Sid    = "SeeTheWalls"
        Effect = "Allow"
        Action = [
          "s3:GetBucketLogging", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketOwnershipControls", "s3:GetBucketPolicy",
          "s3:GetBucketPublicAccessBlock", "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration",
          "s3:ListBucket", "s3:ListBucketVersions",
        ]
        Resource = concat(
          [local.evidence, local.intake, local.work],
          var.audit == null ? [] : [var.audit.trail_bucket_arn, var.audit.access_log_bucket_arn],
        )
      },
      {
        # Verification needs the public halves, and whose they are.
        Sid    = "ReadPublicKeysAndTheirPolicies"
        Effect = "Allow"
        Action = [
          "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:GetPublicKey", "kms:ListGrants", "kms:ListKeyPolicies",
          "kms:ListResourceTags",
        ]
        Resource = local.key_arns
      },
      {
        Sid    = "ReadWhoMayDoWhat"
        Effect = "Allow"
        Action = [
          "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies",
          "iam:ListPolicyVersions", "iam:ListRolePolicies",
        ]
        Resource = ["${local.iam_prefix}:policy/${var.name}-*", "${local.iam_prefix}:role/${var.name}-*"]
      },
      {
        Sid    = "SeeWhatServesAndWhy"
        Effect = "Allow"
        Action = [
          "sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel", "sagemaker:DescribeModelCard",
          "sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup", "sagemaker:DescribeProcessingJob",
          "sagemaker:DescribeTrainingJob", "sagemaker:ListModelPackages",
        ]
        Resource = concat([local.card_arns], local.run_arns, local.serving_arns, local.every_group_arn)
      },
      {
        Sid      = "ListJobsAndServing"
        Effect   = "Allow"
        Action   = local.unnamed.listing
        Resource = "*"
      },
      {
        Sid      = "SeeAlarms"
        Effect   = "Allow"
        Action   = ["cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms"]
        Resource = "arn:${local.partition}:cloudwatch:${local.here}:alarm:${var.name}-*"
      },
      {
        Sid      = "SearchTheTrail"
        Effect   = "Allow"
        Action   = local.unnamed.trails
        Resource = "*"
      },
      local.follow_runs,
      {
        Sid       = "ReadWhatIsEncrypted"
        Effect    = "Allow"
        Action    = concat(["kms:Decrypt"], var.audit == null ? [] : ["kms:GenerateDataKey"]) # answers are encrypted, too
        Resource  = distinct(compact([var.data_key_arn, local.audit.key_arn]))
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
      },
    ],
    [for statement in [
      {
        Sid      = "SeeWhetherTheTrailIsOn"
        Effect   = "Allow"
        Action   = ["cloudtrail:GetEventSelectors", "cloudtrail:GetTrail", "cloudtrail:GetTrailStatus"]
        Resource = local.audit.trail_arn
      },
      {
        Sid    = "AskQuestions"
        Effect = "Allow"
        Action = [
          "athena:BatchGetNamedQuery", "athena:GetNamedQuery", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:GetWorkGroup",
          "athena:ListNamedQueries", "athena:ListQueryExecutions", "athena:StartQueryExecution", "athena:StopQueryExecution",
        ]
        Resource = "arn:${local.partition}:athena:${local.here}:workgroup/${local.audit.athena_workgroup}"
      },
      {
        Sid    = "ReadTheTables"
        Effect = "Allow"
        Action = ["glue:GetDatabase", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable", "glue:GetTables"]
        Resource = [
          for place in ["catalog", "database/${local.audit.glue_database}", "table/${local.audit.glue_database}/*"] :
          "arn:${local.partition}:glue:${local.here}:${place}"
        ]
      },
      {
        Sid      = "KeepTheAnswers"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = "${local.audit.results_arn}/*"
      },
      {
        Sid      = "FindTheAnswers"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket"]
        Resource = split("/", local.audit.results_arn)[0]
      },
    ] : statement if var.audit != null],
  )
}
