# Questions that come up again, written for the fields that are really in the logs. A step's line is JSON of `level`,
# `fields`, `target` and `span` (`run`, `step`, `request_id`); `fields` has a key with a dot in it, `error.name`, which
# is taken out of the text. Saved queries take no parameters: what is in capitals is to be replaced.

locals {
  step_log_groups = [for verb in sort(keys(var.function_names)) : local.function_log_groups[verb]]
  run_log_groups  = concat(local.step_log_groups, var.state_machine_log_group == null ? [] : [var.state_machine_log_group])

  queries = merge(
    {
      "run by id" = {
        log_groups = local.run_log_groups
        query      = <<-EOT
          # RUN: a run's id, for what its steps say; its execution's ARN, for its states
          fields @timestamp, @log, level, span.step, @message
          | filter @message like "RUN"
          | sort @timestamp asc
          | limit 10000
        EOT
      }
      "refusals and faults by gate" = {
        log_groups = local.step_log_groups
        query      = <<-EOT
          filter level = "ERROR" and target = "runtime::entry"
          | parse @message /"error\.name":"(?<error>[A-Za-z]+)"/
          | stats count(*) as times, latest(span.run) as last_run by span.step, error
          | sort times desc
        EOT
      }
      "what a refusal said" = {
        log_groups = local.step_log_groups
        query      = <<-EOT
          filter level = "ERROR" and target = "runtime::entry"
          | parse @message /"message":"(?<said>(?:[^"\\]|\\.)*)"/
          | parse @message /"error\.name":"(?<error>[A-Za-z]+)"/
          | fields @timestamp, span.run, span.step, error, said
          | sort @timestamp desc
          | limit 100
        EOT
      }
      "what the sweep met" = {
        log_groups = [for verb in ["resume-execution", "seal-run"] : local.function_log_groups[verb] if contains(keys(var.function_names), verb)]
        query      = <<-EOT
          # Waits that could not be answered, and runs that only the sweep sealed
          filter level = "WARN" or @message like "sealed by the sweep"
          | parse @message /"run_id":"(?<run>[0-9a-f]+)"/
          | parse @message /"message":"(?<said>(?:[^"\\]|\\.)*)"/
          | fields @timestamp, @log, run, said
          | sort @timestamp desc
          | limit 100
        EOT
      }
      "transfer rates" = {
        log_groups = [local.function_log_groups["download-model"]]
        query      = <<-EOT
          filter ispresent(FetchRate)
          | stats sum(BytesFetched) as bytes, avg(FetchRate) as mean_bytes_per_second, max(FetchRate) as best_bytes_per_second, sum(FilesStored) as files by run_id, batch
          | sort bytes desc
        EOT
      }
      "cost of functions" = {
        log_groups = local.step_log_groups
        query      = <<-EOT
          # Lambda, x86_64, us-east-1, November 2026: 0.0000166667 USD a GB-second, 0.0000002 USD a request
          filter @type = "REPORT"
          | stats count(*) as requests, sum(@billedDuration * @memorySize) / 1000 / 1024000000 as gb_seconds, sum(@billedDuration * @memorySize) / 1000 / 1024000000 * 0.0000166667 + count(*) * 0.0000002 as usd by @log
          | sort usd desc
        EOT
      }
      "critical findings" = {
        log_groups = [local.findings_log_group]
        query      = <<-EOT
          fields @timestamp, `detail-type`, detail.title, detail.severity, detail.`image-digest`, @message
          | filter @message like "CRITICAL"
          | sort @timestamp desc
          | limit 100
        EOT
      }
    },
    { for question, query in {
      "slow states" = {
        log_groups = [var.state_machine_log_group]
        query      = <<-EOT
          # From a state's first entry to its last exit in one run, loops and batches included
          filter type like /State(Entered|Exited)$/
          | stats (max(@timestamp) - min(@timestamp)) / 1000 as seconds by execution_arn, details.name
          | sort seconds desc
          | limit 50
        EOT
      }
    } : question => query if var.state_machine_log_group != null },
    { for question, query in {
      "who approved what" = {
        log_groups = [var.trail_log_group]
        query      = <<-EOT
          fields @timestamp, userIdentity.principalId, userIdentity.arn, requestParameters.modelPackageArn, requestParameters.modelApprovalStatus, sourceIPAddress, errorCode
          | filter eventSource = "sagemaker.amazonaws.com" and eventName = "UpdateModelPackage" and ispresent(requestParameters.modelApprovalStatus)
          | sort @timestamp desc
        EOT
      }
      "denied calls" = {
        log_groups = [var.trail_log_group]
        query      = <<-EOT
          filter errorCode like /UnauthorizedOperation$/ or errorCode like /^AccessDenied/
          | stats count(*) as times, latest(errorMessage) as said by userIdentity.arn, eventSource, eventName
          | sort times desc
        EOT
      }
      "who used which key" = {
        log_groups = [var.trail_log_group]
        query      = <<-EOT
          filter eventSource = "kms.amazonaws.com" and eventName in ["Sign", "GenerateMac", "PutKeyPolicy", "DisableKey", "ScheduleKeyDeletion", "CreateGrant"]
          | stats count(*) as times by userIdentity.sessionContext.sessionIssuer.userName, eventName, resources.0.ARN, errorCode
          | sort times desc
        EOT
      }
      "who changed models and endpoints" = {
        log_groups = [var.trail_log_group]
        query      = <<-EOT
          fields @timestamp, eventName, userIdentity.arn, requestParameters.endpointName, requestParameters.endpointConfigName, requestParameters.modelName, errorCode
          | filter eventSource = "sagemaker.amazonaws.com" and eventName like /^(Create|Update|Delete)(Model|Endpoint)/
          | sort @timestamp desc
        EOT
      }
    } : question => query if var.trail_log_group != null },
  )
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = { for question, query in local.queries : question => query if var.save_queries }

  name            = "${var.name}/${each.key}"
  log_group_names = each.value.log_groups
  query_string    = each.value.query
}
