resource "aws_sfn_state_machine" "pipeline" {
  #checkov:skip=CKV_AWS_285:Every event is logged; its data is not, because task tokens are in it
  name     = local.state_machine_name
  role_arn = aws_iam_role.service["pipeline"].arn
  type     = "STANDARD"

  definition = templatefile(var.definition_path, merge(
    { partition = local.partition },
    { for verb, arn in local.function_arns : replace(verb, "-", "_") => arn },
  ))

  # Execution data holds task tokens: whoever reads one can answer for a gate.
  logging_configuration {
    level                  = "ALL"
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.state_machine.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  # The role is tried when the state machine is made.
  depends_on = [aws_iam_role_policy.service]
}

resource "aws_cloudwatch_log_group" "state_machine" {
  #checkov:skip=CKV_AWS_338:How long logs are kept is a variable; what must be known for longer is in the evidence and in the trail
  name              = "/aws/vendedlogs/states/${local.state_machine_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.data.arn

  depends_on = [aws_kms_key_policy.data]
}
