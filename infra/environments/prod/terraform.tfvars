# The defaults of variables.tf are meant for it.
