"""What a machine has for networks on an NVIDIA GPU, read from files: one module for each source.

Nothing is imported, started or opened but text files, so that it is quick and cannot fail.
"""
