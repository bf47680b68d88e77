"""Triton kernels: one file per operation and direction. `launch` defines how they are launched."""
