"""Checkpoints to files that the runtime loads, and how far each file is from its checkpoint."""
