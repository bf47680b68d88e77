"""Checkpoints of a training run: written, read, and resumed from."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from fer_edge.atomic_file import atomic_write
from training.loop.optimizer import Ema
from training.models import build


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint; a run that is killed leaves the last whole one."""
    with atomic_write(path) as partial:
        torch.save(content, partial)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Tensors and plain Python values only: a checkpoint from a stranger cannot run code."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def model_from_checkpoint(path: Path) -> nn.Module:
    """The expression network of a checkpoint of training.train with its averaged weights, for evaluation.

    Raises ValueError when the file does not say which network it holds.
    """
    content = load_checkpoint(path)
    settings = content.get("settings", {})
    if "model" not in settings or "ema" not in content:
        raise ValueError(f"{path} must be a checkpoint of training.train (1.1 or later)")
    model = build(settings["model"], **settings["options"])
    model.load_state_dict(content["ema"])
    return model.eval()


def run_state(
    model: nn.Module,
    ema: Ema,
    optimiser: torch.optim.Optimizer,
    epoch: int,
    settings: dict[str, Any],
    material: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What a checkpoint holds after ``epoch`` (counted from 0); ``material`` says what was learnt from."""
    return {
        "material": material or {},
        "model": model.state_dict(),
        "ema": ema.model.state_dict(),
        "updates": ema.updates,
        "optimiser": optimiser.state_dict(),
        "epoch": epoch,
        "settings": settings,
    }


def resume(
    path: Path,
    model: nn.Module,
    ema: Ema,
    optimiser: torch.optim.Optimizer,
    now: dict[str, Any] | None = None,
) -> int:
    """Restores a run from its checkpoint, if there is one, and returns the epoch to go on with.

    Raises ValueError when the run began with other settings or material than it has ``now``.
    """
    if not path.exists():
        return 0
    saved = load_checkpoint(path)
    if now is not None:
        then = saved["settings"] | saved.get("material", {})
        changes = [f"{n}: {then.get(n)!r} then, {v!r} now" for n, v in now.items() if then.get(n) != v]
        if changes:
            raise ValueError(
                f"{path} was begun with other settings ({', '.join(changes)}); take them, or another --out"
            )
    model.load_state_dict(saved["model"])
    ema.model.load_state_dict(saved["ema"])
    ema.updates = saved["updates"]
    optimiser.load_state_dict(saved["optimiser"])
    return int(saved["epoch"]) + 1
