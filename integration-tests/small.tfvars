# What a run needs and no more: the provider waits half a minute for queue, network and alarms to settle. One test
# deploys them too.
network       = null
observability = null
dead_letters  = false
