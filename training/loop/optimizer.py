"""Optimizer, learning-rate schedule and weight averaging of a training run."""

import math
from typing import Any

import torch
from torch import nn


def lr_factor(step: int, steps: int, warmup: int) -> float:
    """Learning-rate factor: linear warm-up, then half a cosine to zero (Loshchilov and Hutter, 2017)."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


class Ema:
    """Exponential moving average of a model's weights and normalisation statistics; ``model`` is the averaged
    copy.

    The decay is ramped up, min(decay, (1 + t) / (10 + t)), so that the random start fades in short runs too.
    """

    def __init__(self, model: nn.Module, averaged: nn.Module, decay: float) -> None:
        self.model = averaged.eval().requires_grad_(False)
        self.model.load_state_dict(model.state_dict())
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.updates += 1
        step = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged, latest = self.model.state_dict().values(), model.state_dict().values()
        pairs = list(zip(averaged, latest, strict=True))
        floats = [(mine, theirs) for mine, theirs in pairs if mine.is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in floats], [theirs for _, theirs in floats], step)
        for mine, theirs in pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)


def parameter_groups(
    model: nn.Module, weight_decay: float, trunk_lr_factor: float = 1.0
) -> list[dict[str, Any]]:
    """Weight decay on matrices and kernels only, not on biases, normalisation and per-channel scales.

    ``lr_factor`` of a group is ``trunk_lr_factor`` for the weights whose name starts with "trunk.", else 1.
    """
    groups = []
    for decays in (True, False):
        for in_trunk in (True, False):
            chosen = [
                p
                for name, p in model.named_parameters()
                if p.requires_grad
                and (p.squeeze().ndim > 1) == decays
                and name.startswith("trunk.") == in_trunk
            ]
            if chosen:
                factor = trunk_lr_factor if in_trunk else 1.0
                decay = weight_decay if decays else 0.0
                groups.append({"params": chosen, "weight_decay": decay, "lr_factor": factor})
    return groups


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Sets the learning rate of each group, multiplied by the group's ``lr_factor``."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]


def make_optimizer(
    model: nn.Module, name: str, lr: float, weight_decay: float, trunk_lr_factor: float = 1.0
) -> torch.optim.Optimizer:
    """AdamW or SGD; raises ValueError for another name."""
    groups = parameter_groups(model, weight_decay, trunk_lr_factor)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)
    raise ValueError(f"optimizer must be adamw or sgd, got {name!r}")
