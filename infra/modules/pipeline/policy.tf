locals {
  policy = jsondecode(file(var.policy_path))

  # Admission refuses a request from any of these: who may write what a model is judged by may not submit one.
  evaluation_writers = var.evaluation_writers == null ? [for writer in local.policy.data.evaluation_writers : tostring(writer)] : var.evaluation_writers
}

# The policy is an object like the evidence it bounds: versioned and locked. Each function is told which version
# and which digest it must find, so a policy that changes under a run is noticed.
resource "aws_s3_object" "policy" {
  bucket       = aws_s3_bucket.this["evidence"].id
  key          = "policy/policy.json"
  source       = var.policy_path
  source_hash  = filesha256(var.policy_path)
  content_type = "application/json"

  # Past the lock, where the whole environment may go.
  force_destroy = var.force_destroy

  # A version is only given, and kept, once the bucket has been told to.
  depends_on = [
    aws_s3_bucket_versioning.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
  ]

  lifecycle {
    # The bucket gives each new version its retention; Terraform would take it for drift.
    ignore_changes = [object_lock_mode, object_lock_retain_until_date]

    precondition {
      condition     = local.policy.schema == "lockstep/policy/v1"
      error_message = "${var.policy_path} must hold a policy of schema lockstep/policy/v1."
    }
    precondition {
      condition     = sort(local.policy.endpoints.names) == sort(var.endpoint_names)
      error_message = "`endpoints.names` of ${var.policy_path} and the variable `endpoint_names` must name the same endpoints."
    }
    precondition {
      condition     = sort(local.policy.data.evaluation_writers) == sort(local.evaluation_writers)
      error_message = "`data.evaluation_writers` of ${var.policy_path} and the variable `evaluation_writers` must name the same writers."
    }
  }
}
