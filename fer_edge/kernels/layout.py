"""Memory layout of a map: contiguous and channels-last maps are read in place, others are copied."""

import torch
from torch import Tensor


def is_channels_last(x: Tensor) -> bool:
    """Whether a map [N, C, H, W] is stored as [N, H, W, C] and is not also contiguous."""
    return not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def layout_of(x: Tensor) -> torch.memory_format:
    """The memory format in which a map is read."""
    return torch.channels_last if is_channels_last(x) else torch.contiguous_format


def dense(x: Tensor) -> Tensor:
    """The map, copied if it has neither format."""
    return x.contiguous(memory_format=layout_of(x))
