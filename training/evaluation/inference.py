"""Inference over a split: the runtime's crops through a network, batch by batch."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from fer_edge.arrays import F32, F64
from training.data.crops import inputs_from_split
from training.data.split import Split

# Network input float32 [n, 1, S, S] -> logits [n, C].
Logits = Callable[[F32], F32]
BATCH = 128  # rows whose crops are in memory at once


def input_batches(split: Split, size: int, *, aligned: bool = True, mirrored: bool = False) -> Iterator[F32]:
    """Yields network inputs float32 [n, 1, size, size] of at most BATCH rows."""
    for k in range(0, len(split), BATCH):
        yield inputs_from_split(split.take(slice(k, k + BATCH)), size, aligned, mirrored)


def logits_from_split(
    logits: Logits, split: Split, size: int, *, aligned: bool = True, mirrored: bool = False
) -> F64:
    """Logits [n, C] of a split; shows a progress bar when it takes longer than a few seconds."""
    batches = input_batches(split, size, aligned=aligned, mirrored=mirrored)
    bar = tqdm(batches, total=-(-len(split) // BATCH), desc="crops", unit="batch", leave=False, delay=5)
    return np.concatenate([logits(x) for x in bar]).astype(np.float64)


def logits_from_inputs(logits: Logits, x: F32, batch: int = BATCH) -> F64:
    """Logits [n, C] of network inputs, ``batch`` rows at a time."""
    return np.concatenate([logits(x[k : k + batch]) for k in range(0, len(x), batch)]).astype(np.float64)


def logits_from_module(module: nn.Module) -> Logits:
    """A PyTorch network as a function of arrays."""
    device = next(module.parameters()).device

    @torch.no_grad()
    def logits(x: F32) -> F32:
        result: F32 = module(torch.from_numpy(x).to(device)).cpu().numpy()
        return result

    return logits


@torch.no_grad()
def module_outputs(
    module: nn.Module,
    split: Split,
    forward: Callable[[Tensor], Tensor] | None = None,
    *,
    aligned: bool = True,
    mirrored: bool = False,
) -> Tensor:
    """Outputs [n, ...] of a PyTorch network over a split, on the CPU.

    ``forward`` is the method to call in place of the network itself.
    """
    forward, device = forward or module, next(module.parameters()).device
    batches = input_batches(split, module.size, aligned=aligned, mirrored=mirrored)
    return torch.cat([forward(torch.from_numpy(x).to(device)).cpu() for x in batches])
