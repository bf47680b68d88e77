"""Random arguments of the operations; ``TEST_SEED=n`` in the environment selects others for all tests."""

import os

import torch
from torch import Tensor

from fer_edge.kernels import DcifWeights, MultiBranchWeights, TokenAttentionWeights, random_weights

SHIFT = 1000 * int(os.environ.get("TEST_SEED", "0"))
LAYOUTS = ("contiguous", "channels_last", "strided")


def normal(
    *shape: int, dtype: torch.dtype = torch.float64, layout: str = "contiguous", seed: int = 0
) -> Tensor:
    """Normal random numbers that are exact in the dtype."""
    generator = torch.Generator().manual_seed(SHIFT + seed)
    return laid_out(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype), layout)


def laid_out(x: Tensor, layout: str) -> Tensor:
    """The same values in the given memory layout; strided is neither contiguous nor channels-last."""
    if layout == "strided":
        return torch.stack([x, x], dim=-1)[..., 0]
    last = layout == "channels_last"
    return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def dcif_weights(channels: int, hidden: int | None = None, seed: int = 0) -> DcifWeights:
    """Float64 weights of `dcif`."""
    return random_weights.dcif_weights(channels, hidden, SHIFT + seed)


def multi_branch_weights(channels: int, concatenate: bool = False, seed: int = 0) -> MultiBranchWeights:
    """Float64 weights of `multi_branch_attention`."""
    return random_weights.multi_branch_weights(channels, concatenate, SHIFT + seed)


def token_attention_weights(channels: int, seed: int = 0) -> TokenAttentionWeights:
    """Float64 weights of `token_attention`."""
    return random_weights.token_attention_weights(channels, SHIFT + seed)
