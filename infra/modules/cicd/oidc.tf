locals {
  issuer = "token.actions.githubusercontent.com"

  oidc_provider_arn = var.oidc_provider_arn == null ? one(aws_iam_openid_connect_provider.github[*].arn) : var.oidc_provider_arn

  owner      = split("/", var.repository)[0]
  project    = split("/", var.repository)[1]
  subject_of = var.repository_ids == null ? "repo:${var.repository}" : "repo:${local.owner}@${var.repository_ids.owner}/${local.project}@${var.repository_ids.repository}"

  # Whole subjects, never patterns. A workflow that runs for a pull request has `pull_request`, whatever its branch;
  # one that names an environment has that, and no branch any more: what the environment lets in is GitHub's to hold.
  subjects = {
    plan = [
      "${local.subject_of}:environment:${var.environment}-plan",
      "${local.subject_of}:pull_request",
      "${local.subject_of}:ref:refs/heads/${var.main_branch}",
    ]
    apply    = ["${local.subject_of}:environment:${var.environment}"]
    image    = [for subject in sort(var.image_subjects) : "${local.subject_of}:${subject}"]
    requests = [for subject in sort(var.requests_subjects) : "${local.subject_of}:${subject}"]
  }
}

# No thumbprint: AWS checks GitHub's certificate against its own list of authorities.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}
