# What a run needs, and the alarms.
network      = null
dead_letters = false
