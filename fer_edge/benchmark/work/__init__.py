"""What is timed: the networks, whole frames, fresh processes, and the peers beside them."""
