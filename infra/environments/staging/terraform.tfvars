# As prod, but that keys may go sooner.
key_deletion_days = 7
