# Lines as they are really written, for the tests of the filters here and on an account. What the functions log is
# written by `runtime::entry` (shared/runtime/src/entry.rs), what they measure by `runtime::metrics`; events and
# records of CloudTrail are cut down to what AWS documents and a filter could look at.

locals {
  sample_run  = "9f86d081884c7d659a2feaa0c55ad015"
  sample_span = { request_id = "8f5d1c1e-6a36-4b4e-9d3c-0a4f0c2f7a11", run = local.sample_run, step = "RecheckImage", name = "invocation" }

  sample_failed_steps = {
    scan_blocked   = { name = "ScanBlocked", message = "sha256:2c26b46b68ffc68f has findings that policy does not allow: CVE-2026-1234 (Critical), CVE-2026-0007 (High)" }
    scan_undefined = { name = "ScanBlocked", message = "sha256:2c26b46b68ffc68f has findings that policy does not allow: CVE-2026-9999 (Undefined) and 3 more" }
    scan_high      = { name = "ScanBlocked", message = "sha256:2c26b46b68ffc68f has findings that policy does not allow: CVE-2026-0007 (High)" }
    fault          = { name = "ServiceUnavailable", message = "ecr:DescribeImageScanFindings failed: ThrottlingException: Rate exceeded" }
  }

  # Who CloudTrail says it was.
  sample_role = {
    for name in ["${var.name}-scan-gate", "${var.name}-deploy-endpoint", "deployer", "stranger"] : name => {
      type        = "AssumedRole"
      principalId = "AROAEXAMPLE:session"
      arn         = "arn:${local.partition}:sts::${local.account_id}:assumed-role/${name}/session"
      accountId   = local.account_id
      sessionContext = {
        sessionIssuer = { type = "Role", userName = name, arn = "arn:${local.partition}:iam::${local.account_id}:role/${name}", accountId = local.account_id }
      }
    }
  }
  sample_user = { type = "IAMUser", userName = "somebody", arn = "arn:${local.partition}:iam::${local.account_id}:user/somebody", accountId = local.account_id }
  sample_root = { type = "Root", arn = "arn:${local.partition}:iam::${local.account_id}:root", accountId = local.account_id }
  sample_guest = merge(local.sample_role["${var.name}-scan-gate"], {
    accountId = "999999999999"
    arn       = "arn:${local.partition}:sts::999999999999:assumed-role/${var.name}-scan-gate/session"
  })

  sample_call = { eventVersion = "1.11", eventType = "AwsApiCall", awsRegion = local.region, recipientAccountId = local.account_id, sourceIPAddress = "192.0.2.7" }

  lines = merge(
    {
      for key, step in local.sample_failed_steps : key => jsonencode({
        level  = "ERROR"
        fields = { message = step.message, "error.name" = step.name }
        target = "runtime::entry"
        span   = local.sample_span
        spans  = [{ requestId = local.sample_span.request_id, name = "Lambda runtime invoke" }, local.sample_span]
      })
    },
    {
      progress = jsonencode({
        level  = "INFO"
        fields = { message = "transfer progress", run_id = local.sample_run, batch = 0, stored_bytes = 8388608, bytes = 8388608, bytes_per_second = 4194304, stored_files = 1, files = 1 }
        target = "bootstrap::progress"
        span   = merge(local.sample_span, { step = "FetchBatch" })
        spans  = [merge(local.sample_span, { step = "FetchBatch" })]
      })
      measured = jsonencode({
        _aws = {
          Timestamp         = 1565375354953
          CloudWatchMetrics = [{ Namespace = "Lockstep", Dimensions = [["Function"]], Metrics = [{ Name = "BytesFetched", Unit = "Bytes" }] }]
        }
        Function     = "download-model"
        BytesFetched = 8388608
        run_id       = local.sample_run
      })
      timed_out = "2026-11-21T12:00:00.000Z 8f5d1c1e-6a36-4b4e-9d3c-0a4f0c2f7a11 Task timed out after 120.00 seconds"
      crashed   = "RequestId: 8f5d1c1e-6a36-4b4e-9d3c-0a4f0c2f7a11 Error: Runtime exited with error: exit status 101 Runtime.ExitError"

      basic_scan_critical = jsonencode({
        source = "aws.ecr", detail-type = "ECR Image Scan"
        detail = { scan-status = "COMPLETE", repository-name = var.repository_name, finding-severity-counts = { CRITICAL = 2, MEDIUM = 9 } }
      })
      basic_scan_clean = jsonencode({
        source = "aws.ecr", detail-type = "ECR Image Scan"
        detail = { scan-status = "COMPLETE", repository-name = var.repository_name, finding-severity-counts = { MEDIUM = 9 } }
      })
      inspector_critical = jsonencode({ source = "aws.inspector2", detail-type = "Inspector2 Finding", detail = { severity = "CRITICAL", status = "ACTIVE" } })
      inspector_high     = jsonencode({ source = "aws.inspector2", detail-type = "Inspector2 Finding", detail = { severity = "HIGH", status = "ACTIVE" } })

      sign_in_failed = jsonencode(merge(local.sample_call, {
        eventType        = "AwsConsoleSignIn", eventSource = "signin.amazonaws.com", eventName = "ConsoleLogin", userIdentity = local.sample_user
        errorMessage     = "Failed authentication"
        responseElements = { ConsoleLogin = "Failure" }
      }))
      signed_in = jsonencode(merge(local.sample_call, {
        eventType        = "AwsConsoleSignIn", eventSource = "signin.amazonaws.com", eventName = "ConsoleLogin", userIdentity = local.sample_user
        responseElements = { ConsoleLogin = "Success" }
      }))
      credential_refused = jsonencode(merge(local.sample_call, {
        eventType           = "AwsServiceEvent", eventSource = "signin.amazonaws.com", eventName = "CredentialVerification"
        userIdentity        = { type = "Unknown", accountId = local.account_id }
        serviceEventDetails = { CredentialVerification = "Failure" }
      }))
    },
    {
      # [who, service, call, error]
      for key, call in {
        access_denied          = [local.sample_role["stranger"], "s3", "PutObject", "AccessDenied"]
        unauthorized_operation = [local.sample_user, "ec2", "RunInstances", "Client.UnauthorizedOperation"]
        no_such_key            = [local.sample_role["stranger"], "s3", "GetObject", "NoSuchKey"]
        root_call              = [local.sample_root, "iam", "CreateAccessKey", ""]
        root_by_service        = [merge(local.sample_root, { invokedBy = "trustedadvisor.amazonaws.com" }), "iam", "GetAccountSummary", ""]
        key_disabled           = [local.sample_role["deployer"], "kms", "DisableKey", ""]
        key_deletion           = [local.sample_role["deployer"], "kms", "ScheduleKeyDeletion", ""]
        key_described          = [local.sample_role["stranger"], "kms", "DescribeKey", ""]
        key_policy_by_stranger = [local.sample_role["stranger"], "kms", "PutKeyPolicy", ""]
        key_policy_by_deployer = [local.sample_role["deployer"], "kms", "PutKeyPolicy", ""]
        signed_by_itself       = [local.sample_role["${var.name}-scan-gate"], "kms", "Sign", ""]
        signed_by_stranger     = [local.sample_role["stranger"], "kms", "Sign", "AccessDenied"]
        signed_by_user         = [local.sample_user, "kms", "Sign", ""]
        signed_elsewhere       = [local.sample_guest, "kms", "Sign", ""]
        endpoint_by_itself     = [local.sample_role["${var.name}-deploy-endpoint"], "sagemaker", "UpdateEndpoint", ""]
        endpoint_by_deployer   = [local.sample_role["deployer"], "sagemaker", "DeleteEndpoint", ""]
        endpoint_by_stranger   = [local.sample_role["stranger"], "sagemaker", "UpdateEndpoint", ""]
        endpoint_by_user       = [local.sample_user, "sagemaker", "CreateModel", ""]
        endpoint_described     = [local.sample_role["stranger"], "sagemaker", "DescribeEndpoint", ""]
        trail_stopped          = [local.sample_role["stranger"], "cloudtrail", "StopLogging", ""]
        trail_described        = [local.sample_role["stranger"], "cloudtrail", "DescribeTrails", ""]
        } : key => jsonencode(merge(
          local.sample_call,
          { userIdentity = call[0], eventSource = "${call[1]}.amazonaws.com", eventName = call[2] },
          call[3] == "" ? {} : { errorCode = call[3] },
      ))
    },
  )
}
