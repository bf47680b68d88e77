"""Weights folded for the kernels once, and again whenever a parameter has changed."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class _Kept(NamedTuple):
    sources: list[Tensor]  # aliases; while they exist, no other tensor gets their address
    versions: list[int]
    folded: tuple[Tensor, ...]


class Folding(nn.Module, ABC):
    """A block whose kernel takes folded weights; ``kernels`` names what computes it (fer_edge.kernels)."""

    kernels = "reference"
    _kept: _Kept | None = None

    @abstractmethod
    def fold(self) -> tuple[Tensor, ...]:
        """The kernel's weights, as a differentiable function of the parameters."""

    def folded(self) -> tuple[Tensor, ...]:
        """The result of `fold`, which is cached without gradients until a parameter or statistic changes.

        A change is detected by the version counters of autograd. After a change that they do not count, such
        as a fused optimizer or a write through ``.data``, call ``eval()`` or ``train()``, which clear the
        cache. New values are written to the same memory, so that a CUDA graph reads them too. Compiled
        graphs, graphs that are captured before anything is cached, and parameters made in inference mode fold
        in every call. With several streams, call it once before they diverge.
        """
        sources = [*self.parameters(), *self.buffers()]
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or _untracked(sources):
            return self.fold()
        versions = [source._version for source in sources]
        kept = self._kept
        if kept is not None and kept.versions == versions and _same_memory(kept.sources, sources):
            return kept.folded
        if sources[0].is_cuda and torch.cuda.is_current_stream_capturing():
            return self.fold()
        # Not inference tensors, which could not be written to later.
        with torch.inference_mode(False), torch.no_grad():
            folded = self.fold() if kept is None else _renewed(kept, self.fold())
        self._kept = _Kept([source.detach() for source in sources], versions, folded)
        return folded

    def train(self, mode: bool = True) -> "Folding":
        """As of nn.Module; also invalidates the cache."""
        if self._kept is not None:
            self._kept = self._kept._replace(versions=[])
        super().train(mode)
        return self

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # After a move or cast, the memory of the old weights must be freed.
        self._kept = None
        return super()._apply(function, recurse)


def _untracked(sources: list[Tensor]) -> bool:
    return any(source.is_inference() for source in sources)


def _same_memory(before: list[Tensor], now: list[Tensor]) -> bool:
    return all(a.data_ptr() == b.data_ptr() and a.dtype == b.dtype for a, b in zip(before, now, strict=True))


def _renewed(kept: _Kept, fresh: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The fresh weights, in the memory of the old ones where the cache owns it: other tensors are
    parameters.
    """
    theirs = {source.data_ptr() for source in kept.sources}
    return type(fresh)(
        *(
            value if old.data_ptr() in theirs or not _alike(old, value) else old.copy_(value)
            for old, value in zip(kept.folded, fresh, strict=True)
        )
    )


def _alike(a: Tensor, b: Tensor) -> bool:
    return (a.shape, a.dtype, a.device) == (b.shape, b.dtype, b.device)
