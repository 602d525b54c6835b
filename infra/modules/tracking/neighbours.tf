# What the policies of other modules' things must say for this one. They name nothing but names, so that whoever takes
# them waits for nothing that is made here.
locals {
  data_key_statements = [
    {
      Sid       = "MakeDataKeysForTrackingsScratchSpace"
      Effect    = "Allow"
      Principal = { Service = "fargate.amazonaws.com" }
      Action    = "kms:GenerateDataKeyWithoutPlaintext"
      Resource  = "*" # in a key's policy, the key itself
      Condition = { StringEquals = local.fargate_context }
    },
    {
      Sid       = "LetTrackingsTasksReadTheirScratchSpace"
      Effect    = "Allow"
      Principal = { Service = "fargate.amazonaws.com" }
      Action    = "kms:CreateGrant"
      Resource  = "*"
      Condition = {
        StringEquals                = local.fargate_context
        "ForAllValues:StringEquals" = { "kms:GrantOperations" = ["Decrypt"] }
      }
    },
  ]

  fargate_context = {
    "kms:EncryptionContext:aws:ecs:clusterAccount" = local.account_id
    "kms:EncryptionContext:aws:ecs:clusterName"    = local.id
  }

  access_log_bucket_arn = "arn:${local.partition}:s3:::${var.access_log_bucket}"

  access_log_statements = [
    {
      # The service writes under the account whose load balancer it is, so that the path says for whom. AWS does not say
      # whether it sends `aws:SourceArn`, and a condition on what is not sent would refuse every log without a word.
      Sid       = "WriteTrackingsLoadBalancersLogs"
      Effect    = "Allow"
      Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource = [
        for prefix in [local.access_log_prefixes.connections, local.access_log_prefixes.requests] :
        "${local.access_log_bucket_arn}/${prefix}/AWSLogs/${local.account_id}/*"
      ]
    },
    {
      Sid       = "WriteTrackingsArtifactsLogs"
      Effect    = "Allow"
      Principal = { Service = "logging.s3.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "${local.access_log_bucket_arn}/${local.access_log_prefixes.artifacts}${local.account_id}/${local.region}/${local.bucket_name}/*"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = local.bucket_arn }
      }
    },
  ]
}
