data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

# Names are written out here and not read from the resources that carry them, so that a policy can name what it guards
# before that exists.
locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name
  dns_suffix = data.aws_partition.current.dns_suffix

  # At most 29 characters: load balancers and target groups take 32.
  id = "${var.name}-tracking"

  role_names = { for purpose in ["execution", "task", "monitoring", "redeploy", "events"] : purpose => "${local.id}-${purpose}" }
  role_arns  = { for purpose, name in local.role_names : purpose => "arn:${local.partition}:iam::${local.account_id}:role/${name}" }

  # What `aws:PrincipalArn` may hold for each role. AWS says the role's ARN; some accounts that speak its protocol say
  # the session's, which AWS never does, so naming both gives nobody more.
  role_principals = {
    for purpose, name in local.role_names : purpose => [
      local.role_arns[purpose],
      "arn:${local.partition}:sts::${local.account_id}:assumed-role/${name}/*",
    ]
  }

  bucket_name = "${local.id}-${local.account_id}"
  bucket_arn  = "arn:${local.partition}:s3:::${local.bucket_name}"
  artifacts   = "${local.bucket_arn}/artifacts"

  # `<account>.dkr.ecr.<region>.<suffix>/<repository>@sha256:<digest>`, which the variable's validation holds it to.
  image          = regex("^(?P<account>[0-9]{12})\\.dkr\\.ecr(?:-fips)?\\.(?P<region>[a-z0-9-]+)\\.[a-z.]+/(?P<repository>[^@]+)@", var.image)
  repository_arn = "arn:${local.partition}:ecr:${local.image.region}:${local.image.account}:repository/${local.image.repository}"

  service_arn       = "arn:${local.partition}:ecs:${local.region}:${local.account_id}:service/${local.id}/${local.id}"
  database_arn      = "arn:${local.partition}:rds:${local.region}:${local.account_id}:db:${local.id}"
  state_machine     = "${local.id}-redeploy"
  state_machine_arn = "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${local.state_machine}"
  log_group_prefix  = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group"

  # All of them match `/aws/*/<name>-*`, which the data key's policy lets CloudWatch Logs encrypt.
  log_groups = {
    server   = "/aws/ecs/${local.id}"
    insights = "/aws/ecs/containerinsights/${local.id}/performance"
    database = "/aws/rds/instance/${local.id}/postgresql"
    upgrade  = "/aws/rds/instance/${local.id}/upgrade"
    redeploy = "/aws/vendedlogs/states/${local.state_machine}"
  }

  server_port   = 5000
  people_port   = 443
  machine_port  = 8443
  database_port = 5432
}
