locals {
  descriptions = {
    plan     = "Reads what Terraform made, for a plan, and no content of it"
    apply    = "Makes and changes the infrastructure, and touches nothing that runs in it"
    image    = "Pushes the container's image"
    requests = "Uploads requests that were merged"
  }

  # A request's place tells who submitted it, and of a role's session that is `<role id>:<session>`. GitHub's side
  # chooses the session's name, so it must be this one: otherwise one workflow could submit under many names, and an
  # approver that must differ from the submitter could not be held to it.
  requests_session = "git"
}

resource "aws_iam_role" "this" {
  for_each = local.role_names

  #parliament:skip=UNKNOWN_FEDERATION_SOURCE:It knows the providers that AWS names itself, and not those that an account makes, as GitHub's
  #parliament:skip=UNKNOWN_CONDITION_FOR_ACTION:These are claims of GitHub's tokens; IAM names them after the provider that an account makes
  name                 = each.value
  description          = local.descriptions[each.key]
  max_session_duration = 3600
  permissions_boundary = each.key == "apply" ? aws_iam_policy.apply_boundary.arn : null

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TakeOnFromOneRepository"
      Effect    = "Allow"
      Principal = { Federated = local.oidc_provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = merge(
          {
            "${local.issuer}:aud" = "sts.amazonaws.com"
            "${local.issuer}:sub" = local.subjects[each.key]
          },
          each.key == "requests" ? { "sts:RoleSessionName" = local.requests_session } : {},
        )
      }
    }]
  })
}

resource "aws_iam_role_policy" "image" {
  name = "permissions"
  role = aws_iam_role.this["image"].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # A token to push with names no repository.
        Sid      = "LogInToTheRegistry"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        # Reading, too: a push asks what is there already, and the workflow then prints digest and findings.
        Sid    = "PushAndSeeTheFindings"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImageScanFindings",
          "ecr:DescribeImages", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
        ]
        Resource = local.repository_arn
      },
    ]
  })
}

resource "aws_iam_role_policy" "requests" {
  #parliament:skip=UNKNOWN_CONDITION_FOR_ACTION(kms:Decrypt, kms:GenerateDataKey):kms:ResourceAliases is there for every operation on one key, and parliament's reference lists it for none
  name = "permissions"
  role = aws_iam_role.this["requests"].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "SubmitUnderOnesOwnId"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${local.bucket_arns.intake}/requests/$${aws:userid}/*"
      },
      {
        # The key is named by its alias: it is made later than this role, by what the apply role applies.
        Sid      = "EncryptWhatIsSubmitted"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = "${local.regional.kms}:key/*"
        Condition = {
          StringEquals               = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" }
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${var.name}-data" }
        }
      },
    ]
  })
}
