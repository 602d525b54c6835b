provider "aws" {
  region = var.region

  # An account on this machine is found through AWS_ENDPOINT_URL. It has no instance metadata to ask, and serves
  # buckets by path, since their names resolve nowhere.
  s3_use_path_style           = var.local_account
  skip_credentials_validation = var.local_account
  skip_metadata_api_check     = var.local_account
  skip_region_validation      = var.local_account
}

locals {
  repository_name = "${var.name}/model-container"

  # Jobs, models and endpoints stand in the network that is made here, or in one that is there already.
  subnets = var.network == null ? var.subnet_ids : module.network[0].private_subnet_ids
  groups = var.network == null ? {
    jobs      = var.security_group_ids
    endpoints = var.security_group_ids
    } : {
    jobs      = [module.network[0].security_group_ids["jobs"]]
    endpoints = [module.network[0].security_group_ids["endpoints"]]
  }

  # What a module that is not chosen would have told.
  trail_log_group   = try(module.audit[0].trail_log_group, null)
  access_log_bucket = try(module.audit[0].access_log_bucket, null)
  serving_roles     = [for verb in ["deploy-endpoint", "approve-package", "respond-incident", "seal-run"] : module.pipeline.role_names[verb]]
}

module "pipeline" {
  source = "../../modules/pipeline"

  name                    = var.name
  zips_dir                = var.zips_dir
  architecture            = var.architecture
  definition_path         = coalesce(var.definition_path, "${path.module}/../../../statemachine/pipeline.asl.json")
  code_revision           = var.code_revision
  signing_keys_not_before = var.signing_keys_not_before
  replaced_signing_keys   = var.replaced_signing_keys
  promotes_from           = var.promotes_from
  drift                   = var.drift
  key_rotation_days       = var.key_rotation_days
  key_deletion_days       = var.key_deletion_days
  secret_recovery_days    = var.secret_recovery_days
  hub_token               = var.hub_token
  hub_token_version       = var.hub_token_version
  log_retention_days      = var.log_retention_days
  policy_path             = coalesce(var.policy_path, "${path.module}/policy.json")
  extra_environment       = var.extra_environment
  hf_endpoint             = var.hf_endpoint
  repository_name         = local.repository_name
  transfer_memory_mb      = var.transfer_memory_mb
  reserved_concurrency    = var.reserved_concurrency
  sweep_seconds           = var.sweep_seconds

  incident_cooldown_seconds = var.incident_cooldown_seconds
  runbooks_url              = var.runbooks_url
  bake_seconds              = var.bake_seconds
  autoscaling               = { for name, endpoint in var.endpoints : name => endpoint.autoscaling if endpoint.autoscaling != null }

  subnet_ids               = local.subnets
  security_group_ids       = local.groups["jobs"]
  function_network         = try(module.network[0].function_vpc_config, null)
  download_network         = try(module.network[0].download_vpc_config, null)
  evaluation_writers       = var.evaluation_writers
  label_writers            = var.label_writers
  deployers                = var.deployers
  endpoint_names           = keys(var.endpoints)
  schedules                = var.schedules
  dead_letters             = var.dead_letters
  subscribers              = var.subscribers
  alert_subscribers        = var.alert_subscribers
  evidence_retention_days  = var.evidence_retention_days
  abort_uploads_after_days = var.abort_uploads_after_days
  intelligent_tiering      = var.intelligent_tiering
  retention_days           = var.retention_days
  forgetters               = var.forgetters
  forgetters_need_mfa      = var.forgetters_need_mfa
  access_log_bucket        = local.access_log_bucket
  data_key_statements      = try(module.tracking[0].data_key_statements, [])
  replication              = var.replication
  force_destroy            = var.force_destroy
}

module "registry" {
  source = "../../modules/registry"

  repository_name = local.repository_name
  kms_key_arn     = module.pipeline.data_key_arn
  pullers         = concat(module.pipeline.image_pullers, module.serving.endpoint_role_principals)
  pushers         = var.image_pushers
  force_delete    = var.force_destroy
}

module "network" {
  source = "../../modules/network"
  count  = var.network == null ? 0 : 1

  name                     = var.name
  cidr                     = var.network.cidr
  zones                    = var.network.zones
  interface_endpoints      = var.network.interface_endpoints
  hub_egress               = var.network.hub_egress
  dns_firewall             = var.network.dns_firewall
  distributed_training     = var.network.distributed_training
  data_key_arn             = module.pipeline.data_key_arn
  log_retention_days       = var.log_retention_days
  permissions_boundary_arn = module.pipeline.permissions_boundary_arn
}

module "serving" {
  source = "../../modules/serving"

  name                     = var.name
  work_bucket_arn          = module.pipeline.bucket_arns["work"]
  data_key_arn             = module.pipeline.data_key_arn
  repository_arn           = module.registry.repository_arn
  subnet_ids               = local.subnets
  security_group_ids       = local.groups["endpoints"]
  permissions_boundary_arn = module.pipeline.permissions_boundary_arn
  endpoints                = var.endpoints
  callers                  = var.callers
  topic_arn                = module.pipeline.alerts_topic_arn
}

module "observability" {
  source = "../../modules/observability"
  count  = var.observability == null ? 0 : 1

  name                    = var.name
  topic_arn               = module.pipeline.alerts_topic_arn
  data_key_arn            = module.pipeline.data_key_arn
  log_retention_days      = var.log_retention_days
  state_machine_arn       = module.pipeline.state_machine_arn
  state_machine_log_group = module.pipeline.state_machine_log_group
  function_names          = module.pipeline.function_names
  function_log_groups     = module.pipeline.function_log_groups
  endpoints               = { for name in keys(var.endpoints) : name => {} }
  repository_name         = local.repository_name
  trail_log_group         = local.trail_log_group
  known_principals = var.audit == null ? null : {
    signers   = values(module.pipeline.role_names)
    serving   = local.serving_roles
    deployers = [for arn in var.deployers : element(split("/", arn), -1)]
  }
  dead_letter_queue_name = module.pipeline.dead_letter_queue_name
  rule_names             = values(module.pipeline.rule_names)
  bucket_names           = values(module.pipeline.bucket_names)
  own_job_log_groups     = var.observability.own_job_log_groups
  save_queries           = var.observability.save_queries
  limits                 = var.observability.limits
}

module "audit" {
  source = "../../modules/audit"
  count  = var.audit == null ? 0 : 1

  name                  = var.name
  topic_arn             = module.pipeline.alerts_topic_arn
  buckets               = module.pipeline.bucket_names
  table_name            = module.pipeline.table
  state_machine_arn     = module.pipeline.state_machine_arn
  known_roles           = local.serving_roles
  trail                 = var.audit.trail
  guardduty             = var.audit.guardduty
  siem                  = var.audit.siem
  siem_log_groups       = merge({ pipeline = module.pipeline.state_machine_log_group }, module.pipeline.function_log_groups)
  access_log_statements = try(module.tracking[0].access_log_statements, [])
  logged_bucket_arns    = try([module.cicd[0].state_bucket_arn], [])
  force_destroy         = var.force_destroy
}

module "access" {
  source = "../../modules/access"
  count  = var.access == null ? 0 : 1

  name                 = var.name
  bucket_arns          = module.pipeline.bucket_arns
  state_machine_arn    = module.pipeline.state_machine_arn
  role_arns            = module.pipeline.function_role_arns
  data_key_arn         = module.pipeline.data_key_arn
  signing_key_arns     = module.pipeline.signing_key_arns
  checkpoint_key_arn   = module.pipeline.checkpoint_key_arn
  topic_arn            = module.pipeline.topic_arn
  incident_topic_arn   = module.pipeline.alerts_topic_arn
  runbook_url          = var.access.runbook_url
  teams                = var.access.teams
  operators            = var.access.operators
  auditors             = var.access.auditors
  identities           = var.access.identities
  organization_targets = var.access.organization_targets
  scheduler_role_arn   = module.pipeline.scheduler_role_arn

  rollback_function_arn = module.pipeline.function_arns["respond-incident"]

  deployers = var.deployers
}

module "tracking" {
  source = "../../modules/tracking"
  count  = var.tracking == null ? 0 : 1

  name                           = var.name
  vpc_id                         = module.network[0].vpc_id
  subnet_ids                     = module.network[0].private_subnet_ids
  load_balancer_subnet_ids       = var.tracking.load_balancer_subnet_ids
  vpc_endpoint_security_group_id = module.network[0].security_group_ids["vpc_endpoints"]
  people_cidrs                   = var.tracking.people_cidrs
  sign_in                        = var.tracking.sign_in
  machines                       = var.tracking.machines
  host_name                      = var.tracking.host_name
  certificate_arn                = var.tracking.certificate_arn
  image                          = var.tracking.image
  data_key_arn                   = module.pipeline.data_key_arn
  access_log_bucket              = try(module.audit[0].access_log_bucket_name, null)
  topic_arn                      = module.pipeline.alerts_topic_arn
  permissions_boundary_arn       = var.tracking.permissions_boundary_arn
  force_destroy                  = var.force_destroy
}

module "cicd" {
  source = "../../modules/cicd"
  count  = var.cicd == null ? 0 : 1

  name              = var.name
  repository        = var.cicd.repository
  repository_ids    = var.cicd.repository_ids
  environment       = var.cicd.environment
  oidc_provider_arn = var.cicd.oidc_provider_arn
  repository_name   = local.repository_name
  administrators    = var.cicd.administrators
  access_log_bucket = try(module.audit[0].access_log_bucket_name, null)
}
