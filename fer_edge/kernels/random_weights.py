"""Random weights of the operations, of sizes at which every activation matters."""

import torch
from torch import Tensor

from .reference import DcifWeights, MultiBranchWeights, TokenAttentionWeights


def _normal(draw: torch.Generator, *shape: int, fan: int = 1, centre: float = 0.0) -> Tensor:
    return centre + torch.randn(*shape, generator=draw, dtype=torch.float64) / fan**0.5


def multi_branch_weights(channels: int, concatenate: bool = False, seed: int = 0) -> MultiBranchWeights:
    """Float64 weights of `multi_branch_attention`."""
    draw, c, wide = torch.Generator().manual_seed(seed), channels, 2 * channels
    joined = wide if concatenate else c
    return MultiBranchWeights(
        alpha=_normal(draw, c, centre=1.0),
        beta=_normal(draw, c),
        texture_w=_normal(draw, c, c, fan=c),
        texture_b=_normal(draw, c),
        depthwise_w=_normal(draw, wide, 3, 3, fan=9),
        depthwise_b=_normal(draw, wide),
        pointwise_w=_normal(draw, wide, wide, fan=wide),
        pointwise_b=_normal(draw, wide),
        project_w=_normal(draw, c, wide, fan=wide),
        project_b=_normal(draw, c),
        merge_w=_normal(draw, c, joined, fan=joined),
        merge_b=_normal(draw, c),
    )


def dcif_weights(channels: int, hidden: int | None = None, seed: int = 0) -> DcifWeights:
    """Float64 weights of `dcif`; a sixteenth of the channels are hidden, as in the networks."""
    draw, hidden = torch.Generator().manual_seed(seed), hidden or max(1, channels // 16)
    return DcifWeights(
        squeeze_w=_normal(draw, hidden, channels, fan=channels),
        squeeze_b=_normal(draw, hidden),
        expand_w=_normal(draw, channels, hidden, fan=hidden),
        expand_b=_normal(draw, channels),
        spatial_w=_normal(draw, 2, 7, 7, fan=49),
    )


def token_attention_weights(channels: int, seed: int = 0) -> TokenAttentionWeights:
    """Float64 weights of `token_attention`."""
    draw = torch.Generator().manual_seed(seed)
    return TokenAttentionWeights(
        qkv_w=_normal(draw, 3 * channels, channels, fan=channels),
        qkv_b=_normal(draw, 3 * channels),
        out_w=_normal(draw, channels, channels, fan=channels),
        out_b=_normal(draw, channels),
        norm_w=_normal(draw, channels, centre=1.0),
        norm_b=_normal(draw, channels),
    )
