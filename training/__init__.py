"""Training and evaluation of the networks; each module at the top is a command."""
