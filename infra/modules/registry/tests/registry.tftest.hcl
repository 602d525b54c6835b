mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "123456789012"
      arn        = "arn:aws:iam::123456789012:role/deployer"
    }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_iam_session_context" {
    defaults = { issuer_arn = "arn:aws:iam::123456789012:role/deployer" }
  }
}

variables {
  kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111"
  pullers     = ["arn:aws:iam::123456789012:role/lockstep-job"]
}

run "keeps_images_as_they_were_scanned" {
  assert {
    condition     = aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE" && one(aws_ecr_repository.this.image_scanning_configuration).scan_on_push
    error_message = "Images must be scanned when pushed and stay what they were."
  }
  assert {
    condition     = one(aws_ecr_repository.this.encryption_configuration).encryption_type == "KMS"
    error_message = "Images must be encrypted with KMS."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_ecr_repository_policy.this.policy).Statement :
      statement.Effect == "Deny" && contains(statement.Action, "ecr:BatchGetImage") && contains(try(statement.Condition.ArnNotLike["aws:PrincipalArn"], []), "arn:aws:iam::123456789012:role/lockstep-job")
    ])
    error_message = "Only what runs the image, looks at it or made it may pull it."
  }
}

run "refuses_an_image_that_nobody_may_pull" {
  command = plan

  variables {
    pullers = []
  }

  expect_failures = [var.pullers]
}
