"""The figures of an evaluation as pictures."""
