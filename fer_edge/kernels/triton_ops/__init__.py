"""The operations on Triton kernels, with the names and arguments of `fer_edge.kernels.reference`."""

from .dcif import dcif, filter_and_pool
from .multi_branch_attention import multi_branch_attention
from .token_attention import token_attention
from .warp_normalize import warp_normalize

__all__ = ["dcif", "filter_and_pool", "multi_branch_attention", "token_attention", "warp_normalize"]
