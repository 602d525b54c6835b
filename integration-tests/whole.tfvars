# Everything that the local account can hold. The token is a canary: a test looks for it in state, plans and logs.
network           = { interface_endpoints = ["kms", "states"], dns_firewall = false }
hub_token         = "hf_a_planted_canary"
hub_token_version = 1
