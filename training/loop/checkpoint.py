"""Checkpoints of a training run: write, read, resume."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from fer_edge.atomic_file import atomic_write
from training.loop.optimizer import Ema
from training.models import build


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint; when the run is killed, the last complete one stays."""
    with atomic_write(path) as partial:
        torch.save(content, partial)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads tensors and plain Python values only, so that an untrusted checkpoint cannot run code."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def model_from_checkpoint(path: Path) -> nn.Module:
    """The expression network of a checkpoint of training.train with its averaged weights, in evaluation mode.

    Raises ValueError when the file does not say which network it holds.
    """
    content = load_checkpoint(path)
    settings = content.get("settings", {})
    if "model" not in settings or "ema" not in content:
        raise ValueError(f"{path} must be a checkpoint of training.train")
    model = build(settings["model"], **settings["options"])
    model.load_state_dict(content["ema"])
    return model.eval()


def training_state(
    model: nn.Module,
    ema: Ema,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    settings: dict[str, Any],
    input_hashes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of a checkpoint after ``epoch`` (counted from 0); ``input_hashes`` identify data and start
    weights.
    """
    return {
        "input_hashes": input_hashes or {},
        "model": model.state_dict(),
        "ema": ema.model.state_dict(),
        "ema_updates": ema.updates,
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "settings": settings,
    }


def resume(
    path: Path,
    model: nn.Module,
    ema: Ema,
    optimizer: torch.optim.Optimizer,
    expected: dict[str, Any],
) -> int:
    """Restores a run from its checkpoint, if there is one, and returns the epoch to go on with.

    Raises ValueError when settings or input hashes of the run differ from those ``expected``.
    """
    if not path.exists():
        return 0
    saved = load_checkpoint(path)
    then = saved["settings"] | saved.get("input_hashes", {})
    changes = [f"{n}: {then.get(n)!r} there, {v!r} here" for n, v in expected.items() if then.get(n) != v]
    if changes:
        raise ValueError(
            f"{path} was written with other settings ({', '.join(changes)}); use these, or another --out"
        )
    model.load_state_dict(saved["model"])
    ema.model.load_state_dict(saved["ema"])
    ema.updates = saved["ema_updates"]
    optimizer.load_state_dict(saved["optimizer"])
    return int(saved["epoch"]) + 1
