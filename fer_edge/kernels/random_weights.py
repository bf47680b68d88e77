"""Random weights of the operations, for tests and benchmarks.

They are scaled so that all activations have a magnitude of about 1.
"""

import torch
from torch import Tensor

from .reference import DcifWeights, MultiBranchWeights, TokenAttentionWeights


def _normal(generator: torch.Generator, *shape: int, fan: int = 1, centre: float = 0.0) -> Tensor:
    return centre + torch.randn(*shape, generator=generator, dtype=torch.float64) / fan**0.5


def multi_branch_weights(channels: int, concatenate: bool = False, seed: int = 0) -> MultiBranchWeights:
    """Float64 weights of `multi_branch_attention`."""
    generator, c, wide = torch.Generator().manual_seed(seed), channels, 2 * channels
    joined = wide if concatenate else c
    return MultiBranchWeights(
        alpha=_normal(generator, c, centre=1.0),
        beta=_normal(generator, c),
        texture_w=_normal(generator, c, c, fan=c),
        texture_b=_normal(generator, c),
        depthwise_w=_normal(generator, wide, 3, 3, fan=9),
        depthwise_b=_normal(generator, wide),
        pointwise_w=_normal(generator, wide, wide, fan=wide),
        pointwise_b=_normal(generator, wide),
        project_w=_normal(generator, c, wide, fan=wide),
        project_b=_normal(generator, c),
        merge_w=_normal(generator, c, joined, fan=joined),
        merge_b=_normal(generator, c),
    )


def dcif_weights(channels: int, hidden: int | None = None, seed: int = 0) -> DcifWeights:
    """Float64 weights of `dcif`; by default C / 16 hidden channels, as in the networks."""
    generator, hidden = torch.Generator().manual_seed(seed), hidden or max(1, channels // 16)
    return DcifWeights(
        squeeze_w=_normal(generator, hidden, channels, fan=channels),
        squeeze_b=_normal(generator, hidden),
        expand_w=_normal(generator, channels, hidden, fan=hidden),
        expand_b=_normal(generator, channels),
        spatial_w=_normal(generator, 2, 7, 7, fan=49),
    )


def token_attention_weights(channels: int, seed: int = 0) -> TokenAttentionWeights:
    """Float64 weights of `token_attention`."""
    generator = torch.Generator().manual_seed(seed)
    return TokenAttentionWeights(
        qkv_w=_normal(generator, 3 * channels, channels, fan=channels),
        qkv_b=_normal(generator, 3 * channels),
        out_w=_normal(generator, channels, channels, fan=channels),
        out_b=_normal(generator, channels),
        norm_w=_normal(generator, channels, centre=1.0),
        norm_b=_normal(generator, channels),
    )
