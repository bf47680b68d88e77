"""Weights multiplied out for the kernels, once, and again whenever a parameter has changed."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn


class _Kept(NamedTuple):
    sources: list[Tensor]  # aliases; while they live, no other tensor has their address
    versions: list[int]
    folded: tuple[Tensor, ...]


class Folding(nn.Module, ABC):
    """A block whose weights a kernel takes multiplied out; ``kernels`` names what runs (fer_edge.kernels)."""

    kernels = "reference"
    _kept: _Kept | None = None

    @abstractmethod
    def fold(self) -> tuple[Tensor, ...]:
        """The kernel's weights, as a differentiable function of the parameters."""

    def folded(self) -> tuple[Tensor, ...]:
        """What `fold` returns. Without gradients it is kept until a parameter or statistic changes; a
        compiled graph folds in every call, since it cannot look at versions.
        """
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self.fold()
        sources = [*self.parameters(), *self.buffers()]
        # Tensors that were made in inference mode never change in place outside it.
        versions = [0 if source.is_inference() else source._version for source in sources]
        kept = self._kept
        if kept is None or kept.versions != versions or not _same_memory(kept.sources, sources):
            kept = self._kept = _Kept([source.detach() for source in sources], versions, self.fold())
        return kept.folded


def _same_memory(before: list[Tensor], now: list[Tensor]) -> bool:
    return all(a.data_ptr() == b.data_ptr() and a.dtype == b.dtype for a, b in zip(before, now, strict=True))
