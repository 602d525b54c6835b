provider "aws" {
  region = var.region

  # An account on this machine is found through AWS_ENDPOINT_URL. It has no instance metadata to ask, and serves
  # buckets by path, since their names resolve nowhere.
  s3_use_path_style           = var.local_account
  skip_credentials_validation = var.local_account
  skip_metadata_api_check     = var.local_account
  skip_region_validation      = var.local_account
}

module "pipeline" {
  source = "../../modules/pipeline"

  name                     = var.name
  zips_dir                 = var.zips_dir
  architecture             = var.architecture
  definition_path          = coalesce(var.definition_path, "${path.module}/../../../statemachine/pipeline.asl.json")
  code_revision            = var.code_revision
  signing_keys_not_before  = var.signing_keys_not_before
  replaced_signing_keys    = var.replaced_signing_keys
  log_retention_days       = var.log_retention_days
  policy_path              = coalesce(var.policy_path, "${path.module}/policy.json")
  extra_environment        = var.extra_environment
  hf_endpoint              = var.hf_endpoint
  repository_name          = "${var.name}/model-container"
  transfer_memory_mb       = var.transfer_memory_mb
  sweep_seconds            = var.sweep_seconds
  subnet_ids               = var.subnet_ids
  security_group_ids       = var.security_group_ids
  evaluation_writers       = var.evaluation_writers
  endpoints                = var.endpoints
  schedules                = var.schedules
  subscribers              = var.subscribers
  evidence_retention_days  = var.evidence_retention_days
  abort_uploads_after_days = var.abort_uploads_after_days
  force_destroy            = var.force_destroy
}

module "registry" {
  source = "../../modules/registry"

  repository_name = "${var.name}/model-container"
  kms_key_arn     = module.pipeline.data_key_arn
  pullers         = module.pipeline.image_pullers
  force_delete    = var.force_destroy
}
