data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

# Whoever applies this, with the role behind an assumed role's session: policies name roles.
data "aws_iam_session_context" "administrator" {
  arn = data.aws_caller_identity.current.arn
}

# Names are written out and not read from what carries them: this module comes first in an account, and most of what it
# names is made by the roles that it makes.
locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name
  dns_suffix = data.aws_partition.current.dns_suffix

  role_names = { for purpose in ["plan", "apply", "image", "requests"] : purpose => "${var.name}-ci-${purpose}" }
  role_arns  = { for purpose, name in local.role_names : purpose => "arn:${local.partition}:iam::${local.account_id}:role/${name}" }

  # What `aws:PrincipalArn` may hold for each role. AWS says the role's ARN; some accounts that speak its protocol say
  # the session's, which AWS never does, so naming both gives nobody more.
  role_principals = {
    for purpose, name in local.role_names : purpose => [
      local.role_arns[purpose],
      "arn:${local.partition}:sts::${local.account_id}:assumed-role/${name}/*",
    ]
  }

  administrators = length(var.administrators) > 0 ? var.administrators : [data.aws_iam_session_context.administrator.issuer_arn]

  policy_prefix = "arn:${local.partition}:iam::${local.account_id}:policy"

  bucket_arns    = { for purpose in ["intake", "work", "evidence", "state"] : purpose => "arn:${local.partition}:s3:::${var.name}-${purpose}-${local.account_id}" }
  repository_arn = "arn:${local.partition}:ecr:${local.region}:${local.account_id}:repository/${local.repository_name}"

  repository_name = var.repository_name == null ? "${var.name}/model-container" : var.repository_name

  # ARNs of a service in this region and account, up to the resource.
  regional = {
    for service in [
      "application-autoscaling", "athena", "cloudtrail", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "elasticloadbalancing", "events", "firehose", "glue",
      "guardduty", "kms", "lambda", "logs", "network-firewall", "rds", "route53resolver", "scheduler", "secretsmanager", "sns", "sqs",
      "states",
    ] : service => "arn:${local.partition}:${service}:${local.region}:${local.account_id}"
  }
}
