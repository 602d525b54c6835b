locals {
  flow_log_group = "/aws/vpc/${var.name}-flow"

  # The fields of the default format first, in their order, so that a table made for those still reads them; then what
  # tells the real ends of a connection behind a NAT or an endpoint, its direction, and which service it went to.
  flow_log_format = join(" ", [
    for field in [
      "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end",
      "action", "log-status", "vpc-id", "subnet-id", "tcp-flags", "pkt-srcaddr", "pkt-dstaddr", "flow-direction", "pkt-dst-aws-service",
    ] : "$${${field}}"
  ])
}

# Refused traffic above all: from inside, that is a container that tried.
resource "aws_flow_log" "this" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  max_aggregation_interval = 60
  log_format               = local.flow_log_format
  log_destination_type     = var.flow_log_bucket_arn == null ? "cloud-watch-logs" : "s3"
  log_destination          = var.flow_log_bucket_arn == null ? aws_cloudwatch_log_group.flow[0].arn : var.flow_log_bucket_arn
  iam_role_arn             = var.flow_log_bucket_arn == null ? aws_iam_role.flow_log[0].arn : null

  tags = { Name = var.name }

  # Without it the first minutes' deliveries are refused, and the flow log says so for good.
  depends_on = [aws_iam_role_policy.flow_log]
}

resource "aws_cloudwatch_log_group" "flow" {
  count = var.flow_log_bucket_arn == null ? 1 : 0

  #checkov:skip=CKV_AWS_338:How long logs are kept is a variable; 90 days here, and a bucket for longer
  name              = local.flow_log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.data_key_arn
}

resource "aws_iam_role" "flow_log" {
  count = var.flow_log_bucket_arn == null ? 1 : 0

  name                 = "${var.name}-flow-log"
  description          = "What VPC flow logs may do for ${var.name}"
  permissions_boundary = var.permissions_boundary_arn

  # Only for this account's flow logs: the service must not be talked into using the role for somebody else's.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DeliverThisAccountsFlowLogs"
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ec2:${local.region}:${local.account_id}:vpc-flow-log/*" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "flow_log" {
  count = var.flow_log_bucket_arn == null ? 1 : 0

  name = "permissions"
  role = aws_iam_role.flow_log[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "WriteTheFlowLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${local.regional.logs}:log-group:${local.flow_log_group}:*"
      },
      {
        # The service looks whether the group is there, and a listing knows no narrower resource.
        Sid      = "FindTheLogGroup"
        Effect   = "Allow"
        Action   = "logs:DescribeLogGroups"
        Resource = "*"
      },
    ]
  })
}
