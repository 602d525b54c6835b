# Where programs write runs. A network address proves nothing and a shared password proves little: each program shows a
# certificate of an authority that is kept for this, comes from a group that is named, and may call what writing runs takes.
locals {
  machine_groups = var.machines == null ? {} : var.machines.security_group_ids

  # What may be called, and nothing else: a list of what may not would have to foresee every spelling of it. There is no
  # deletion in it, no change of a model's stage or alias, and no signed address that leads past the server.
  machine_calls = concat(
    # A rule takes five values.
    [for paths in chunklist(local.machine_paths, 5) : { methods = [], paths = paths }],
    [
      { methods = ["GET", "POST", "PATCH"], paths = ["/api/2.0/mlflow/logged-models", "/api/2.0/mlflow/logged-models/*"] },
      { methods = ["GET", "PUT"], paths = ["/api/2.0/mlflow-artifacts/artifacts", "/api/2.0/mlflow-artifacts/artifacts/*"] },
    ],
  )

  machine_paths = concat(
    # Not server-info: a client that cannot ask what else the server offers sends and fetches artefacts through it, and
    # not by signed address.
    ["/version"],
    [
      for call in [
        "artifacts/list",
        "experiments/create", "experiments/get", "experiments/get-by-name", "experiments/search", "experiments/set-experiment-tag",
        "metrics/get-history",
        "model-versions/create", "model-versions/get", "model-versions/search", "model-versions/set-tag",
        "registered-models/create", "registered-models/get", "registered-models/search",
        "runs/create", "runs/get", "runs/log-batch", "runs/log-inputs", "runs/log-metric", "runs/log-model", "runs/log-parameter",
        "runs/outputs", "runs/search", "runs/set-tag", "runs/update",
      ] : "/api/2.0/mlflow/${call}"
    ],
  )
}

resource "aws_lb_trust_store" "machines" {
  count = var.machines == null ? 0 : 1

  name                                     = local.id
  ca_certificates_bundle_s3_bucket         = var.machines.ca_bundle.bucket
  ca_certificates_bundle_s3_key            = var.machines.ca_bundle.key
  ca_certificates_bundle_s3_object_version = var.machines.ca_bundle.version
}

resource "aws_lb_trust_store_revocation" "machines" {
  for_each = { for list in try(var.machines.revocation_lists, []) : "${list.bucket}/${list.key}@${list.version}" => list }

  trust_store_arn               = aws_lb_trust_store.machines[0].arn
  revocations_s3_bucket         = each.value.bucket
  revocations_s3_key            = each.value.key
  revocations_s3_object_version = each.value.version
}

resource "aws_lb_listener" "machines" {
  count = var.machines == null ? 0 : 1

  load_balancer_arn = aws_lb.this.arn
  protocol          = "HTTPS"
  port              = local.machine_port
  certificate_arn   = var.certificate_arn
  ssl_policy        = var.tls_policy

  routing_http_response_server_enabled                         = false
  routing_http_response_strict_transport_security_header_value = "max-age=31536000"
  routing_http_response_x_content_type_options_header_value    = "nosniff"

  mutual_authentication {
    mode                             = "verify"
    trust_store_arn                  = aws_lb_trust_store.machines[0].arn
    ignore_client_certificate_expiry = false
  }

  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "Not for programs"
      status_code  = "403"
    }
  }
}

resource "aws_lb_listener_rule" "machines" {
  for_each = var.machines == null ? {} : { for index, call in local.machine_calls : format("%02d", index) => call }

  listener_arn = aws_lb_listener.machines[0].arn
  priority     = 10 + tonumber(each.key)

  condition {
    path_pattern {
      values = each.value.paths
    }
  }

  dynamic "condition" {
    for_each = length(each.value.methods) == 0 ? [] : [each.value.methods]

    content {
      http_request_method {
        values = condition.value
      }
    }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.server.arn
  }
}
