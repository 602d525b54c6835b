# The account on this machine ends with its process. What it cannot hold, and what the provider waits a minute for, is left out.
local_account            = true
force_destroy            = true
key_deletion_days        = 7
forgetters_need_mfa      = false
evidence_retention_days  = 1
abort_uploads_after_days = null
network                  = { interface_endpoints = [], dns_firewall = false }
observability            = { save_queries = false }
audit                    = null
endpoints                = { tiny-lm = { autoscaling = { max_capacity = 4, invocations_per_instance = 600 } } }
