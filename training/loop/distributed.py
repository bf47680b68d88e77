"""Data-parallel training under ``torchrun``: where this process runs, and which rows of a batch are its own.

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
    """This process among ``count``; ``first`` writes files and shows progress."""

    device: torch.device
    index: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.index == 0

    def share(self, batch: int) -> slice:
        """The rows of a global batch that are this process's own; raises ValueError if they do not divide."""
        if batch % self.count:
            raise ValueError(f"batch must be a multiple of the {self.count} processes, got {batch}")
        rows = batch // self.count
        return slice(self.index * rows, (self.index + 1) * rows)

    def mean(self, *values: float) -> list[float]:
        """Each value's mean over the processes."""
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.count > 1:
            dist.all_reduce(total)
        return (total / self.count).tolist()


@contextmanager
def process() -> Iterator[Process]:
    """Joins the group that torchrun describes in the environment, if it does, and leaves it at the end.

    Nothing that uses the group, such as DistributedDataParallel, may live on after that. Gloo's threads
    need Python's lock to let go of their last tensors, and the group waits for its threads: torch 2.13 gives
    the lock up where Python drops a group, but not where DistributedDataParallel is the last to have it.
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
        gc.collect()  # what is left in cycles
        dist.destroy_process_group()


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; the gradient, too, is the sum of all processes'."""

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
    """Batch normalisation whose mean and variance in training are those of all processes' rows."""

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of dimensions will do."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        dims = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        wide = x.float()
        rows = x.numel() // x.shape[1] * dist.get_world_size()
        # The mean first: a difference of two large sums would lose digits.
        mean = _SumOverProcesses.apply(wide.sum(dims)) / rows
        centred = wide - mean.view(shape)
        variance = _SumOverProcesses.apply(centred.square().sum(dims)) / rows
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * rows / max(1, rows - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


def with_global_batch_norm(model: nn.Module) -> nn.Module:
    """Replaces every batch normalisation, weights and statistics kept."""
    for parent in model.modules():
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                other = GlobalBatchNorm(child.num_features, child.eps, child.momentum)
                other.load_state_dict(child.state_dict())
                setattr(parent, name, other)
    return model
