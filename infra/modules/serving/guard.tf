# Whoever carries this, and whatever else they were granted, makes no model that can talk to anybody, and no endpoint
# whose volumes are in the clear. For people and pipelines outside; Lockstep's own functions pass it too.

locals {
  containers = ["sagemaker:CreateModel", "sagemaker:CreateProcessingJob", "sagemaker:CreateTrainingJob"]

  # An absent value passes every test of what is in it, so absence is asked for first, on its own.
  guard_statements = [
    {
      Sid       = "NoContainerWithoutSubnets"
      Effect    = "Deny"
      Action    = local.containers
      Resource  = "*" # whatever its name
      Condition = { Null = { "sagemaker:VpcSubnets" = "true" } }
    },
    {
      Sid       = "NoContainerInOtherSubnets"
      Effect    = "Deny"
      Action    = local.containers
      Resource  = "*"
      Condition = { "ForAnyValue:StringNotEquals" = { "sagemaker:VpcSubnets" = sort(var.subnet_ids) } }
    },
    {
      Sid       = "NoContainerWithoutSecurityGroups"
      Effect    = "Deny"
      Action    = local.containers
      Resource  = "*"
      Condition = { Null = { "sagemaker:VpcSecurityGroupIds" = "true" } }
    },
    {
      Sid       = "NoContainerInOtherSecurityGroups"
      Effect    = "Deny"
      Action    = local.containers
      Resource  = "*"
      Condition = { "ForAnyValue:StringNotEquals" = { "sagemaker:VpcSecurityGroupIds" = sort(var.security_group_ids) } }
    },
    {
      # Absent is off.
      Sid       = "NoContainerOnTheNetwork"
      Effect    = "Deny"
      Action    = local.containers
      Resource  = "*"
      Condition = { BoolIfExists = { "sagemaker:NetworkIsolation" = "false" } }
    },
    {
      # Instances with NVMe encrypt it themselves, and SageMaker refuses a key for them.
      Sid      = "NoVolumeInTheClear"
      Effect   = "Deny"
      Action   = ["sagemaker:CreateEndpointConfig", "sagemaker:CreateTrainingJob"]
      Resource = "*"
      Condition = {
        Null                        = { "sagemaker:VolumeKmsKey" = "true" }
        "ForAnyValue:StringNotLike" = { "sagemaker:InstanceTypes" = [for family in sort(var.nvme_families) : "ml.${family}.*"] }
      }
    },
    {
      # Of nothing, no value is unlike a family: whoever names no instance type would have been exempted.
      Sid       = "NoVolumeInTheClearAnywhere"
      Effect    = "Deny"
      Action    = ["sagemaker:CreateEndpointConfig", "sagemaker:CreateTrainingJob"]
      Resource  = "*"
      Condition = { Null = { "sagemaker:VolumeKmsKey" = "true", "sagemaker:InstanceTypes" = "true" } }
    },
    {
      Sid      = "NoVolumeUnderAnotherKey"
      Effect   = "Deny"
      Action   = ["sagemaker:CreateEndpointConfig", "sagemaker:CreateTrainingJob"]
      Resource = "*"
      Condition = {
        Null         = { "sagemaker:VolumeKmsKey" = "false" }
        ArnNotEquals = { "sagemaker:VolumeKmsKey" = var.data_key_arn }
      }
    },
    {
      # They run in no VPC.
      Sid       = "NoServerlessEndpoint"
      Effect    = "Deny"
      Action    = "sagemaker:CreateEndpointConfig"
      Resource  = "*"
      Condition = { Null = { "sagemaker:ServerlessMemorySize" = "false" } }
    },
  ]
}

resource "aws_iam_policy" "guard" {
  name        = "${var.name}-serving-guard"
  description = "Denies models outside the VPC or with a network, and endpoints with unencrypted volumes"

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.guard_statements
  })
}
