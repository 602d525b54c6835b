# Where things are tried: keys may go sooner, and the account's own trail is enough.
key_deletion_days = 7
audit             = null
