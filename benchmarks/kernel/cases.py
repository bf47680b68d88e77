"""The operations at the shapes of the networks, with random arguments, for costs, timings and GPU tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from export.ahead_of_time.kernel_shapes import SHAPES
from fer_edge import kernels
from fer_edge.kernels import fold_multi_branch
from fer_edge.kernels.random_weights import dcif_weights, multi_branch_weights, token_attention_weights

HEAD_WIDTH = 32


@dataclass(frozen=True, slots=True)
class Case:
    """An operation with the shape of one network."""

    operation: str
    network: str
    channels: int
    side: int

    @property
    def name(self) -> str:
        """Operation, channels and map size, for tables."""
        return f"{self.operation} {self.channels} x {self.side} x {self.side}"

    def arguments(
        self,
        images: int,
        dtype: torch.dtype,
        device: torch.device | str,
        channels_last: bool = False,
        seed: int = 0,
    ) -> tuple[Any, ...]:
        """Map and weights; for attention also the number of heads."""
        wide = 2 * self.channels if self.operation == "multi_branch_attention" else self.channels
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(images, wide, self.side, self.side, generator=generator).to(device, dtype)
        weights = WEIGHTS[self.operation](self.channels, seed=seed)
        weights_on_device = type(weights)(*(w.to(device, dtype) for w in weights))
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        if self.operation == "token_attention":
            return x, weights_on_device, self.channels // HEAD_WIDTH
        return x, weights_on_device

    def run(self, arguments: tuple[Any, ...], implementation: kernels.dispatch.Kernels) -> Tensor:
        """Calls the public operation."""
        result: Tensor = getattr(kernels, self.operation)(*arguments, kernels=implementation)
        return result


WEIGHTS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "multi_branch_attention": multi_branch_weights,
    "dcif": dcif_weights,
    "token_attention": token_attention_weights,
}
CASES = tuple(Case(s.operation, s.networks[0], s.channels, s.height) for s in SHAPES)


def folded(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same arguments with folded weights, as inference uses them."""
    x, weights, *rest = arguments
    if isinstance(weights, kernels.MultiBranchWeights):
        weights = fold_multi_branch(weights)
    return x, weights, *rest
