"""Triton kernels, one file an operation and direction; `launch` says how they are launched."""
