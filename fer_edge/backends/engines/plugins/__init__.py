"""The blocks of `fused` files as TensorRT plugins over the CUDA kernels of csrc/cuda. Opt-in, off by default.

FER_EDGE_PLUGINS=1 switches them on, for builds and for runs. Whether they are faster than TensorRT's own
fusion was not measured.
"""
