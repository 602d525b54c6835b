# A change by anyone else raises an incident: what got through, and what was denied. The rules read CloudTrail's events,
# which need a trail; those about objects need its data events.

locals {
  # The scaling of a registered endpoint is not a person's doing.
  scaler = "${local.iam_prefix}:role/aws-service-role/sagemaker.application-autoscaling.${local.dns_suffix}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"

  written = ["CompleteMultipartUpload", "CopyObject", "DeleteObject", "PostObject", "PutObject", "PutObjectLegalHold", "PutObjectRetention"]
  bucket_names = {
    for purpose, arn in var.bucket_arns : purpose => regex("[^:]+$", arn)
  }

  # `by` are the roles that may. Whoever has no role, such as the account's root or a user, is anyone else.
  incidents = {
    serving = {
      severity = "critical"
      what     = "A model, endpoint configuration or endpoint was changed past the pipeline"
      source   = "aws.sagemaker"
      names = [
        "CreateEndpoint", "CreateEndpointConfig", "CreateInferenceComponent", "CreateModel", "DeleteEndpoint", "DeleteEndpointConfig",
        "DeleteInferenceComponent", "DeleteModel", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities", "UpdateInferenceComponent",
      ]
      where = {}
      by    = concat(local.spared.servers, [local.scaler])
    }
    decision = {
      severity = "critical"
      what     = "A model package was registered, decided about or deleted by somebody who may not"
      source   = "aws.sagemaker"
      names    = ["CreateModelPackage", "DeleteModelPackage", "DeleteModelPackageGroup", "PutModelPackageGroupPolicy", "UpdateModelPackage"]
      where    = {}
      by       = concat(local.spared.registrars, [var.role_arns["respond-incident"]], [for key in local.approvers : local.people_arns[key]])
    }
    models = {
      severity = "critical"
      what     = "Something was written or deleted among the verified models"
      source   = "aws.s3"
      names    = local.written
      where    = { requestParameters = { bucketName = [local.bucket_names.work], key = [{ prefix = "models/" }] } }
      by       = [var.role_arns["download-model"]]
    }
    artifacts = {
      severity = "critical"
      what     = "Something was written or deleted among the sealed artifacts"
      source   = "aws.s3"
      names    = local.written
      where    = { requestParameters = { bucketName = [local.bucket_names.work], key = [{ prefix = "artifacts/" }] } }
      by       = [var.role_arns["seal-artifact"]]
    }
    evidence = {
      severity = "critical"
      what     = "Something was written or deleted among the evidence"
      source   = "aws.s3"
      names    = local.written
      where    = { requestParameters = { bucketName = [local.bucket_names.evidence], key = [for place in ["incidents/", "revoked/", "runs/"] : { prefix = place }] } }
      by       = [for verb in sort(keys(var.signing_key_arns)) : var.role_arns[verb]]
    }
    policy = {
      severity = "critical"
      what     = "The policy or the trust root was written"
      source   = "aws.s3"
      names    = local.written
      where    = { requestParameters = { bucketName = [local.bucket_names.evidence], key = [{ prefix = "policy/" }] } }
      by       = local.deployers
    }
    code = {
      severity = "critical"
      what     = "A function's code was written"
      source   = "aws.s3"
      names    = local.written
      where    = { requestParameters = { bucketName = [local.bucket_names.work], key = [{ prefix = "functions/" }] } }
      by       = local.deployers
    }
    deletion = {
      # Deleting many names no key that a pattern could look at.
      severity = "high"
      what     = "Objects were deleted in bulk where models or evidence are"
      source   = "aws.s3"
      names    = ["DeleteObjects"]
      where    = { requestParameters = { bucketName = [local.bucket_names.evidence, local.bucket_names.work] } }
      by       = local.deployers
    }
    buckets = {
      severity = "critical"
      what     = "A bucket's policy, versioning, encryption, lock or life cycle was changed"
      source   = "aws.s3"
      names    = [{ prefix = "DeleteBucket" }, { prefix = "PutBucket" }, { prefix = "PutObjectLock" }, { prefix = "PutPublicAccessBlock" }, { prefix = "DeletePublicAccessBlock" }]
      where    = { requestParameters = { bucketName = [for purpose in ["evidence", "intake", "work"] : local.bucket_names[purpose]] } }
      by       = local.deployers
    }
    keys = {
      # An operator who disables one in an emergency raises this, too: it is one.
      severity = "critical"
      what     = "A key's policy, state or alias was changed"
      source   = "aws.kms"
      names    = ["DeleteAlias", "DisableKey", "DisableKeyRotation", "EnableKey", "PutKeyPolicy", "ScheduleKeyDeletion", "UpdateAlias"]
      where    = { resources = { ARN = local.key_arns } }
      by       = local.deployers
    }
    roles = {
      severity = "critical"
      what     = "A role of Lockstep was changed: what it may do, or who may be it"
      source   = "aws.iam"
      names = [
        "AttachRolePolicy", "DeleteRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy", "DetachRolePolicy", "PutRolePermissionsBoundary",
        "PutRolePolicy", "UpdateAssumeRolePolicy",
      ]
      where = { requestParameters = { roleName = [{ prefix = "${var.name}-" }] } }
      by    = local.deployers
    }
    functions = {
      # Lambda's events carry their API's version in their names.
      severity = "critical"
      what     = "A function was changed, deleted or opened to others"
      source   = "aws.lambda"
      names    = [for action in ["AddPermission", "DeleteFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration"] : { prefix = action }]
      where    = { requestParameters = { functionName = [{ prefix = "${var.name}-" }, { wildcard = "*:function:${var.name}-*" }] } }
      by       = local.deployers
    }
    pipeline = {
      severity = "critical"
      what     = "The state machine was changed or deleted"
      source   = "aws.states"
      names    = ["DeleteStateMachine", "UpdateStateMachine"]
      where    = { requestParameters = { stateMachineArn = [var.state_machine_arn] } }
      by       = local.deployers
    }
    rules = {
      severity = "high"
      what     = "A rule that wakes the pipeline, or one of these, was changed or disabled"
      source   = "aws.events"
      names    = ["DeleteRule", "DisableRule", "PutRule", "PutTargets", "RemoveTargets"]
      where    = { requestParameters = { "$or" = [{ name = [{ prefix = "${var.name}-" }] }, { rule = [{ prefix = "${var.name}-" }] }] } }
      by       = concat(local.deployers, [for key in local.operators : local.people_arns[key]])
    }
    trail = {
      # Without a trail no rule here hears of anything.
      severity = "critical"
      what     = "A trail was stopped or changed"
      source   = "aws.cloudtrail"
      names    = ["DeleteTrail", "PutEventSelectors", "StopLogging", "UpdateTrail"]
      where    = {}
      by       = local.deployers
    }
  }

  patterns = {
    for name, incident in local.incidents : name => jsonencode({
      source      = [incident.source]
      detail-type = ["AWS API Call via CloudTrail"]
      detail = merge(
        {
          eventName = incident.names
          # Values of a list are alternatives. Without the second, whoever has no role would go unnoticed: a test of a
          # field that is absent is false, whatever it tests.
          userIdentity = { sessionContext = { sessionIssuer = { arn = [{ anything-but = incident.by }, { exists = false }] } } }
        },
        incident.where,
      )
    })
  }

  pattern_lengths = { for name, pattern in local.patterns : name => length(pattern) }

  # Who, what, when, from where and whether it was denied: nothing of what was sent or answered. Environments, policies
  # and tokens are in there.
  told = {
    account   = "$.detail.recipientAccountId"
    action    = "$.detail.eventName"
    error     = "$.detail.errorCode"
    event     = "$.detail.eventID"
    from      = "$.detail.sourceIPAddress"
    principal = "$.detail.userIdentity.arn"
    region    = "$.detail.awsRegion"
    service   = "$.detail.eventSource"
    time      = "$.detail.eventTime"
    type      = "$.detail.userIdentity.type"
  }
}

resource "aws_cloudwatch_event_rule" "incident" {
  for_each = local.incidents

  name          = "${var.name}-incident-${each.key}"
  description   = each.value.what
  event_pattern = local.patterns[each.key]

  lifecycle {
    precondition {
      condition     = local.pattern_lengths[each.key] <= 2048
      error_message = "The pattern of the incident ${each.key} has more than EventBridge's 2,048 characters: name fewer `deployers`, or give fewer `teams` approvers."
    }
  }
}

resource "aws_cloudwatch_event_target" "incident" {
  for_each = local.incidents

  rule      = aws_cloudwatch_event_rule.incident[each.key].name
  target_id = "topic"
  arn       = local.incident_topic_arn

  input_transformer {
    input_paths = local.told

    # EventBridge looks for its placeholders in the text as it is, and jsonencode writes their brackets as escapes.
    input_template = replace(replace(jsonencode(merge(
      {
        incident = each.key
        severity = each.value.severity
        what     = each.value.what
        runbook  = "${var.runbook_url}#${each.key}"
      },
      { for name in keys(local.told) : name => "<${name}>" },
    )), "\\u003c", "<"), "\\u003e", ">")
  }

  # An incident that nobody hears of is worse than one that is heard of late.
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dynamic "dead_letter_config" {
    for_each = var.dead_letter_queue_arn == null ? [] : [var.dead_letter_queue_arn]

    content {
      arn = dead_letter_config.value
    }
  }
}

locals {
  # After these, what serves may not be what was verified. The function looks, and rolls back only where it is not.
  verified_again = var.rollback_function_arn == null ? toset([]) : toset(["artifacts", "code", "decision", "evidence", "functions", "keys", "models", "policy", "serving"])
}

resource "aws_cloudwatch_event_target" "verified_again" {
  for_each = local.verified_again

  rule      = aws_cloudwatch_event_rule.incident[each.key].name
  target_id = "respond-incident"
  arn       = var.rollback_function_arn

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dynamic "dead_letter_config" {
    for_each = var.dead_letter_queue_arn == null ? [] : [var.dead_letter_queue_arn]

    content {
      arn = dead_letter_config.value
    }
  }
}

locals {
  incident_topic_arn = coalesce(var.incident_topic_arn, var.topic_arn)
}
