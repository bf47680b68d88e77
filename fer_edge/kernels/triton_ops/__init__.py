"""The operations on Triton's kernels, with the names and arguments of `fer_edge.kernels.reference`."""

from .multi_branch_attention import multi_branch_attention
from .token_attention import token_attention

__all__ = ["multi_branch_attention", "token_attention"]
