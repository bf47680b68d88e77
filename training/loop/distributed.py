"""Data-parallel training under ``torchrun``: the process's device, and its rows of a batch.

Batch normalisation is computed over all processes, so that several processes train exactly as one with the
same global batch does; PyTorch's own SyncBatchNorm does this on GPUs only.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist


@dataclass(frozen=True, slots=True)
class Process:
    """One of ``world_size`` processes; the first one writes files and shows progress."""

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def local_rows(self, batch_size: int) -> slice:
        """The rows of a global batch that belong to this process.

        Raises ValueError if the batch does not divide evenly.
        """
        if batch_size % self.world_size:
            raise ValueError(
                f"batch_size must be a multiple of the {self.world_size} processes, got {batch_size}"
            )
        rows = batch_size // self.world_size
        return slice(self.rank * rows, (self.rank + 1) * rows)

    def mean(self, *values: float) -> list[float]:
        """Each value's mean over the processes."""
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.world_size > 1:
            dist.all_reduce(total)
        return (total / self.world_size).tolist()


@contextmanager
def process_group() -> Iterator[Process]:
    """Joins the process group that torchrun describes in the environment, if any, and destroys it at the end.

    Nothing that uses the group, such as DistributedDataParallel, may outlive the block: Gloo's threads need
    the GIL to free their last tensors, and destroying the group waits for these threads. torch 2.13 releases
    the GIL when Python destroys a group, but not when DistributedDataParallel is the last owner.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if "RANK" not in os.environ:
        yield Process(device)
        return
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Process(device, dist.get_rank(), dist.get_world_size())
    finally:
        gc.collect()  # objects in reference cycles
        dist.destroy_process_group()


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; the gradient, too, is summed over all processes."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation whose mean and variance in training are those of the rows of all processes."""

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of dimensions is accepted."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        dims = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        wide = x.float()
        rows = x.numel() // x.shape[1] * dist.get_world_size()
        # The mean first: the difference of two large sums would lose digits.
        mean = _SumOverProcesses.apply(wide.sum(dims)) / rows
        centred = wide - mean.view(shape)
        variance = _SumOverProcesses.apply(centred.square().sum(dims)) / rows
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * rows / max(1, rows - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


def with_global_batchnorm(model: nn.Module) -> nn.Module:
    """Replaces every batch normalisation; weights and statistics stay."""
    for parent in model.modules():
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                other = GlobalBatchNorm(child.num_features, child.eps, child.momentum)
                other.load_state_dict(child.state_dict())
                setattr(parent, name, other)
    return model
