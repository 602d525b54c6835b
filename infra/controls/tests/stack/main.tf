# What a plan of an empty account looks like: nothing has an id or ARN yet, so only references say what belongs to
# what. Planned without an account, by tests/first_plan.rs.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

resource "aws_kms_key" "data" {
  enable_key_rotation = true
}

module "store" {
  source = "./store"

  key_arn = aws_kms_key.data.arn
}

# The key waits for another module's output.
resource "aws_sqs_queue" "failed" {
  name              = "example-failed"
  kms_master_key_id = module.store.key_arn
}

# No key: the provider computes one, which is as unknown as one that waits.
resource "aws_ecr_repository" "without_key" {
  name                 = "example/without-key"
  image_tag_mutability = "IMMUTABLE"

  encryption_configuration {
    encryption_type = "KMS"
  }

  image_scanning_configuration {
    scan_on_push = true
  }
}

# A document that waits for the key cannot be read.
resource "aws_iam_role_policy" "reader" {
  name = "permissions"
  role = "example"

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "Read", Effect = "Allow", Action = "kms:Decrypt", Resource = aws_kms_key.data.arn }]
  })
}

# Versions are kept in none of its buckets but one: the reference is to that one.
resource "aws_s3_bucket" "pair" {
  count = 2

  bucket = "example-pair-${count.index}"
}

resource "aws_s3_bucket_versioning" "second" {
  bucket = aws_s3_bucket.pair[1].id

  versioning_configuration {
    status = "Enabled"
  }
}
