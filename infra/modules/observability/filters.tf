# Counting what logs say. A filter either looks for any of some words in a line, or for clauses that all hold of its
# JSON; a clause holds when one of its conditions does. They are data, so that a test can run them on real lines:
# CloudWatch's own syntax is written from them in one place, below.

locals {
  # `runtime::entry` logs an error for each step that ends in one, and nothing else does.
  step_failed = [
    [{ path = "level", test = "is", value = "ERROR" }],
    [{ path = "target", test = "is", value = "runtime::entry" }],
    [{ path = "span.step", test = "like", value = ".+" }],
  ]

  step_filters = {
    for verb in sort(keys(var.function_names)) : "steps-failed-${verb}" => {
      log_group  = local.function_log_groups[verb]
      metric     = "StepsFailed"
      dimensions = { Step = "$.span.step" }
      words      = []
      clauses    = local.step_failed
      matches    = [local.lines.scan_blocked, local.lines.fault]
      ignores    = [local.lines.progress, local.lines.measured, local.lines.timed_out]
    }
  }

  # A step that was refused is a verdict. These are not: an AWS service that kept failing, an environment that is
  # not complete, and a process that Lambda had to end.
  fault_filters = {
    for verb in sort(keys(var.function_names)) : "faults-${verb}" => {
      log_group  = local.function_log_groups[verb]
      metric     = "Faults"
      dimensions = {}
      words      = ["ServiceUnavailable", "Misconfigured", "Task timed out", "Runtime.ExitError", "Runtime.OutOfMemory"]
      clauses    = []
      matches    = [local.lines.fault, local.lines.timed_out, local.lines.crashed]
      ignores    = [local.lines.scan_blocked, local.lines.progress]
    }
  }

  finding_filters = {
    # The gate names the five worst. A severity that the scanner leaves undefined ranks above critical, and could
    # crowd the critical ones out of the five: so it counts as one.
    critical-findings-refused = {
      log_group  = local.function_log_groups["scan-gate"]
      metric     = "CriticalFindings"
      dimensions = {}
      words      = []
      clauses = [
        [{ path = "level", test = "is", value = "ERROR" }],
        [{ path = "fields.message", test = "is", value = "*has findings that policy does not allow*" }],
        [
          { path = "fields.message", test = "is", value = "*(Critical)*" },
          { path = "fields.message", test = "is", value = "*(Undefined)*" },
        ],
      ]
      matches = [local.lines.scan_blocked, local.lines.scan_undefined]
      ignores = [local.lines.scan_high, local.lines.fault, local.lines.progress]
    }
    critical-findings-found = {
      log_group  = aws_cloudwatch_log_group.this[local.findings_log_group].name
      metric     = "CriticalFindings"
      dimensions = {}
      words      = []
      clauses = [[
        { path = "detail.finding-severity-counts.CRITICAL", test = "above", value = "0" },
        { path = "detail.severity", test = "is", value = "CRITICAL" },
      ]]
      matches = [local.lines.basic_scan_critical, local.lines.inspector_critical]
      ignores = [local.lines.basic_scan_clean, local.lines.inspector_high]
    }
  }

  # CloudTrail writes the services' names alike in every partition.
  trail_filters = { for key, filter in {
    unauthorised-calls = {
      log_group  = var.trail_log_group
      metric     = "UnauthorisedCalls"
      dimensions = {}
      words      = []
      clauses = [[
        { path = "errorCode", test = "is", value = "*UnauthorizedOperation" },
        { path = "errorCode", test = "is", value = "AccessDenied*" },
      ]]
      matches = [local.lines.access_denied, local.lines.unauthorized_operation]
      ignores = [local.lines.signed_by_itself, local.lines.no_such_key]
    }
    # People sign in to the console, or to Identity Center, which has an event of its own.
    failed-sign-ins = {
      log_group  = var.trail_log_group
      metric     = "FailedSignIns"
      dimensions = {}
      words      = []
      clauses = [[
        { path = "responseElements.ConsoleLogin", test = "is", value = "Failure" },
        { path = "serviceEventDetails.CredentialVerification", test = "is", value = "Failure" },
      ]]
      matches = [local.lines.sign_in_failed, local.lines.credential_refused]
      ignores = [local.lines.signed_in, local.lines.access_denied]
    }
    root-use = {
      log_group  = var.trail_log_group
      metric     = "RootUse"
      dimensions = {}
      words      = []
      clauses = [
        [{ path = "userIdentity.type", test = "is", value = "Root" }],
        [{ path = "userIdentity.invokedBy", test = "missing", value = "" }],
        [{ path = "eventType", test = "is not", value = "AwsServiceEvent" }],
      ]
      matches = [local.lines.root_call]
      ignores = [local.lines.root_by_service, local.lines.signed_in]
    }
    keys-disabled = {
      log_group  = var.trail_log_group
      metric     = "KeysDisabled"
      dimensions = {}
      words      = []
      clauses = [
        [{ path = "eventSource", test = "is", value = "kms.amazonaws.com" }],
        [for call in ["DisableKey", "ScheduleKeyDeletion", "DisableKeyRotation"] : { path = "eventName", test = "is", value = call }],
      ]
      matches = [local.lines.key_disabled, local.lines.key_deletion]
      ignores = [local.lines.key_described, local.lines.signed_by_itself]
    }
    strangers-using-keys = {
      log_group  = var.trail_log_group
      metric     = "StrangersOnKeys"
      dimensions = {}
      words      = []
      clauses = concat(
        [
          [{ path = "eventSource", test = "is", value = "kms.amazonaws.com" }],
          [for call in ["Sign", "GenerateMac"] : { path = "eventName", test = "is", value = call }],
        ],
        [local.stranger["signers"]],
      )
      matches = [local.lines.signed_by_stranger, local.lines.signed_by_user, local.lines.signed_elsewhere]
      ignores = [local.lines.signed_by_itself, local.lines.key_described]
    }
    strangers-changing-keys = {
      log_group  = var.trail_log_group
      metric     = "StrangersOnKeys"
      dimensions = {}
      words      = []
      clauses = concat(
        [
          [{ path = "eventSource", test = "is", value = "kms.amazonaws.com" }],
          [for call in ["PutKeyPolicy", "CreateAlias", "UpdateAlias", "DeleteAlias"] : { path = "eventName", test = "is", value = call }],
        ],
        [local.stranger["deployers"]],
      )
      matches = [local.lines.key_policy_by_stranger]
      ignores = [local.lines.key_policy_by_deployer, local.lines.signed_by_stranger]
    }
    # Autoscaling changes weights and counts, and is left out.
    strangers-on-models = {
      log_group  = var.trail_log_group
      metric     = "StrangersOnModels"
      dimensions = {}
      words      = []
      clauses = concat(
        [
          [{ path = "eventSource", test = "is", value = "sagemaker.amazonaws.com" }],
          [
            for call in [
              "CreateModel", "DeleteModel", "CreateEndpointConfig", "DeleteEndpointConfig", "CreateEndpoint", "UpdateEndpoint",
              "DeleteEndpoint", "CreateModelPackage", "DeleteModelPackage",
            ] : { path = "eventName", test = "is", value = call }
          ],
        ],
        [local.stranger["serving"]],
      )
      matches = [local.lines.endpoint_by_stranger, local.lines.endpoint_by_user]
      ignores = [local.lines.endpoint_by_itself, local.lines.endpoint_described, local.lines.endpoint_by_deployer]
    }
    trail-changed = {
      log_group  = var.trail_log_group
      metric     = "TrailChanged"
      dimensions = {}
      words      = []
      clauses = [
        [{ path = "eventSource", test = "is", value = "cloudtrail.amazonaws.com" }],
        [for call in ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"] : { path = "eventName", test = "is", value = call }],
      ]
      matches = [local.lines.trail_stopped]
      ignores = [local.lines.trail_described]
    }
  } : key => filter if var.trail_log_group != null }

  known = {
    for group in ["signers", "serving", "deployers"] : group => var.known_principals == null ? [] : distinct(concat(
      var.known_principals[group],
      group == "serving" ? var.known_principals.deployers : [],
    ))
  }

  # A role of this account that is on the list is known. A user, root and a role of another account, however it is
  # called, are not. Regular expressions here have no parentheses, so each name is anchored for itself.
  stranger = {
    for group, names in local.known : group => concat(
      [
        { path = "userIdentity.accountId", test = "is not", value = local.account_id },
        { path = "userIdentity.sessionContext.sessionIssuer.userName", test = "missing", value = "" },
      ],
      length(names) == 0 ? [] : [{
        path  = "userIdentity.sessionContext.sessionIssuer.userName"
        test  = "unlike"
        value = join("|", [for name in names : "^${replace(replace(name, ".", "\\."), "*", ".*")}$"])
      }],
    )
  }

  filters = merge(local.step_filters, local.fault_filters, local.finding_filters, local.trail_filters)

  filter_patterns = {
    for key, filter in local.filters : key => length(filter.words) > 0 ? join(" ", [for word in filter.words : "?\"${word}\""]) : format("{ %s }", join(" && ", [
      for clause in filter.clauses : format(length(clause) == 1 ? "%s" : "(%s)", join(" || ", [
        for condition in clause : (
          condition.test == "is" ? "($.${condition.path} = \"${condition.value}\")" :
          condition.test == "is not" ? "($.${condition.path} != \"${condition.value}\")" :
          condition.test == "like" ? "($.${condition.path} = %${condition.value}%)" :
          condition.test == "unlike" ? "($.${condition.path} != %${condition.value}%)" :
          condition.test == "above" ? "($.${condition.path} > ${condition.value})" :
          "($.${condition.path} NOT EXISTS)"
        )
      ]))
    ]))
  }
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.filters

  name           = "${var.name}-${each.key}"
  log_group_name = each.value.log_group
  pattern        = local.filter_patterns[each.key]

  metric_transformation {
    namespace  = local.log_namespace
    name       = each.value.metric
    value      = "1"
    unit       = "Count"
    dimensions = length(each.value.dimensions) == 0 ? null : each.value.dimensions

    # A metric with dimensions takes no default.
    default_value = length(each.value.dimensions) == 0 ? "0" : null
  }

  lifecycle {
    precondition {
      condition     = length(local.filter_patterns[each.key]) <= 1024
      error_message = "The filter ${each.key} is longer than the 1,024 characters that CloudWatch Logs takes: give `known_principals` fewer names, or fewer by a `*` at their end."
    }
  }
}
