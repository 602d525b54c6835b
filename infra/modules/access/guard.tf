# Only Lockstep's roles change what serves and write where verified things live. Resource policies say part of it, where
# a service has them; this says the rest, to whoever carries it: people's roles here, and with an organisation's policy
# everybody in the account, its administrators included.

locals {
  sagemaker  = "arn:${local.partition}:sagemaker:*:${local.account_id}" # every region: a copy elsewhere serves as well
  everything = "${var.name}-*"

  # Whom a denial spares.
  spared = {
    servers      = [for verb in ["deploy-endpoint", "respond-incident", "seal-run"] : var.role_arns[verb]]
    registrars   = [var.role_arns["approve-package"]]
    deciders     = concat([for verb in ["approve-package", "respond-incident"] : var.role_arns[verb]], flatten([for key in local.approvers : local.people_principals[key]]))
    writers      = [for verb in sort(distinct(concat(["download-model", "seal-artifact"], keys(var.signing_key_arns)))) : var.role_arns[verb]]
    coordinators = [for verb in sort(keys(var.role_arns)) : var.role_arns[verb] if !contains(["download-model", "seal-artifact"], verb)]
    custodians   = concat(local.deployers, flatten([for key in local.operators : local.people_principals[key]]))
    passers      = concat(local.deployers, [for verb in ["deploy-endpoint", "evaluate-model", "launch-training"] : var.role_arns[verb]], flatten([for key in local.operators : local.people_principals[key]]))
  }

  # Two documents, since one would be longer than IAM and Organizations take.
  guard_statements = {
    verified    = local.verified_statements
    foundations = local.foundation_statements
  }

  # What serves, and what it was verified by.
  verified_statements = [
    {
      Sid    = "ServeAsLockstep"
      Effect = "Deny"
      Action = [
        "sagemaker:AddTags", "sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:CreateInferenceComponent",
        "sagemaker:CreateModel", "sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "sagemaker:DeleteInferenceComponent",
        "sagemaker:DeleteModel", "sagemaker:DeleteTags", "sagemaker:UpdateEndpoint*", "sagemaker:UpdateInferenceComponent*",
      ]
      Resource  = [for kind in ["endpoint", "endpoint-config", "inference-component", "model"] : "${local.sagemaker}:${kind}/*"]
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.spared.servers } }
    },
    {
      Sid       = "RegisterAsLockstep"
      Effect    = "Deny"
      Action    = ["sagemaker:CreateModelPackage", "sagemaker:DeleteModelPackage*", "sagemaker:PutModelPackageGroupPolicy"]
      Resource  = ["${local.sagemaker}:model-package/*", "${local.sagemaker}:model-package-group/*"]
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.spared.registrars } }
    },
    {
      Sid       = "DecideAsAnApprover"
      Effect    = "Deny"
      Action    = "sagemaker:UpdateModelPackage"
      Resource  = "${local.sagemaker}:model-package/*"
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.spared.deciders } }
    },
    {
      Sid       = "WriteAsAGate"
      Effect    = "Deny"
      Action    = ["s3:DeleteObject*", "s3:PutObject*"]
      Resource  = ["${local.work}/artifacts/*", "${local.work}/models/*", "${local.evidence}/incidents/*", "${local.evidence}/revoked/*", "${local.evidence}/runs/*"]
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.spared.writers } }
    },
    {
      Sid       = "CoordinateAsLockstep"
      Effect    = "Deny"
      Action    = ["dynamodb:*Item", "dynamodb:Export*", "dynamodb:PartiQL*", "dynamodb:Query", "dynamodb:Scan", "states:GetExecutionHistory"]
      Resource  = [local.table_arn, local.execution_arns]
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.spared.coordinators } }
    },
  ]

  # What those rest on: keys, roles, code and walls.
  foundation_statements = [
    {
      Sid       = "KeepTheKeys"
      Effect    = "Deny"
      Action    = ["kms:DeleteImportedKeyMaterial", "kms:DisableKeyRotation", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]
      Resource  = "arn:${local.partition}:kms:*:${local.account_id}:key/*"
      Condition = merge({ ArnNotLike = { "aws:PrincipalArn" = local.deployers } }, local.of_ours)
    },
    {
      # By which a key is known: without it, the statement above and the one below would not find it.
      Sid       = "KeepTheAliases"
      Effect    = "Deny"
      Action    = ["kms:DeleteAlias", "kms:UpdateAlias"]
      Resource  = "arn:${local.partition}:kms:*:${local.account_id}:alias/${local.everything}"
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.deployers } }
    },
    {
      Sid       = "DisableKeysAsAnOperator"
      Effect    = "Deny"
      Action    = ["kms:DisableKey", "kms:EnableKey"]
      Resource  = "arn:${local.partition}:kms:*:${local.account_id}:key/*"
      Condition = merge({ ArnNotLike = { "aws:PrincipalArn" = local.spared.custodians } }, local.of_ours)
    },
    {
      # Who could change a role, or what it trusts, could be it.
      Sid    = "KeepTheRoles"
      Effect = "Deny"
      Action = [
        "iam:AttachRolePolicy", "iam:CreatePolicy*", "iam:CreateRole", "iam:DeletePolicy*", "iam:DeleteRole*", "iam:DetachRolePolicy", "iam:PutRole*",
        "iam:SetDefaultPolicyVersion", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole*",
      ]
      Resource  = ["${local.iam_prefix}:policy/${local.everything}", "${local.iam_prefix}:role/${local.everything}"]
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.deployers } }
    },
    {
      # And so could who may hand one to a function of their own.
      Sid       = "PassRolesAsLockstep"
      Effect    = "Deny"
      Action    = "iam:PassRole"
      Resource  = "${local.iam_prefix}:role/${local.everything}"
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.spared.passers } }
    },
    {
      Sid    = "KeepTheMachine"
      Effect = "Deny"
      Action = [
        "events:DeleteRule", "events:DisableRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets", "lambda:AddPermission",
        "lambda:DeleteFunction*", "lambda:UpdateFunction*", "s3:DeleteBucket*", "s3:PutBucket*", "s3:PutEncryptionConfiguration",
        "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration", "states:DeleteStateMachine*", "states:UpdateStateMachine*",
      ]
      Resource = concat(
        [local.evidence, local.intake, local.work, var.state_machine_arn, "arn:${local.partition}:lambda:${local.here}:function:${local.everything}"],
        [for rule in ["change", "ended", "finding", "incident*", "rescan", "settled", "sweep", "threat", "vulnerability"] : "arn:${local.partition}:events:${local.here}:rule/${var.name}-${rule}"],
      )
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.deployers } }
    },
  ]

  of_ours = { "ForAnyValue:StringLike" = { "kms:ResourceAliases" = "alias/${local.everything}" } }

  guard_documents = { for part, statements in local.guard_statements : part => jsonencode({ Version = "2012-10-17", Statement = statements }) }
  guard_lengths   = { for part, document in local.guard_documents : part => length(document) }

  # An organisation's policy takes fewer characters, and needs no names of statements.
  organization_documents = {
    for part, statements in local.guard_statements : part => jsonencode({
      Version   = "2012-10-17"
      Statement = [for statement in statements : { for key, value in statement : key => value if key != "Sid" }]
    })
  }
  organization_lengths = { for part, document in local.organization_documents : part => length(document) }

  guarded = { for pair in setproduct(sort(tolist(var.guarded_roles)), keys(local.guard_statements)) : join(" ", pair) => { role = pair[0], part = pair[1] } }
}

resource "aws_iam_policy" "guard" {
  #parliament:skip=UNKNOWN_CONDITION_FOR_ACTION:kms:ResourceAliases is there for every operation on one key, and parliament's reference lists it for none
  for_each = local.guard_statements

  name        = "${var.name}-guard-${each.key}"
  description = each.key == "verified" ? "Only ${var.name}'s own roles change what serves and what was verified" : "Only who deploys ${var.name} changes its keys, roles, code and walls"
  policy      = local.guard_documents[each.key]

  lifecycle {
    precondition {
      condition     = local.guard_lengths[each.key] <= 6144
      error_message = "The guard of what is ${each.key} has more than IAM's 6,144 characters: name fewer `deployers`, or give fewer `teams` approvers."
    }
  }
}

resource "aws_iam_role_policy_attachment" "guard" {
  for_each = local.guarded

  role       = each.value.role
  policy_arn = aws_iam_policy.guard[each.value.part].arn
}
