"""What every training run shares: schedule, weight averaging, checkpoints, log and curves."""

import json
import math
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.models import build


def cosine(step: int, steps: int, warmup: int) -> float:
    """Learning-rate factor: linear warm-up, then half a cosine to zero (Loshchilov and Hutter, 2017)."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


class Ema:
    """Exponential moving average of a model's weights and normalisation statistics; ``model`` is the averaged
    copy.

    The decay is ramped, so that a short run does not average its random start: min(decay, (1 + t) / (10 +
    t)).
    """

    def __init__(self, model: nn.Module, averaged: nn.Module, decay: float) -> None:
        self.model = averaged.eval().requires_grad_(False)
        self.model.load_state_dict(model.state_dict())
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.updates += 1
        rate = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged, latest = self.model.state_dict().values(), model.state_dict().values()
        pairs = list(zip(averaged, latest, strict=True))
        floats = [(mine, theirs) for mine, theirs in pairs if mine.is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in floats], [theirs for _, theirs in floats], rate)
        for mine, theirs in pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes beside the target and renames, so that a run that is killed leaves the last whole checkpoint."""
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


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


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay on matrices and kernels only; biases, normalisation and per-channel scales are left alone."""
    named: Iterable[Tensor] = [p for p in model.parameters() if p.requires_grad]
    kernels = [p for p in named if p.squeeze().ndim > 1]
    rest = [p for p in named if p.squeeze().ndim <= 1]
    return [{"params": kernels, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def make_optimiser(model: nn.Module, name: str, rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW or SGD; raises ValueError for another name."""
    groups = parameter_groups(model, weight_decay)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=rate)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
    raise ValueError(f"optimiser must be adamw or sgd, got {name!r}")


def append_log(path: Path, record: dict[str, float]) -> None:
    """One JSON object a line; TensorBoard files beside it where the extra is installed."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    if find_spec("tensorboard"):
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(path.parent / "tensorboard")) as writer:
            for name, value in record.items():
                writer.add_scalar(name, value, int(record["epoch"]))


def draw_curves(log: Path, picture: Path, panels: dict[str, list[str]]) -> None:
    """Draws the log's columns against the epoch, one panel for each title."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.6), squeeze=False)
    for axis, (title, columns) in zip(axes[0], panels.items(), strict=True):
        for column in columns:
            points = [(r["epoch"], r[column]) for r in rows if column in r]
            axis.plot(*zip(*points, strict=True), label=column)
        axis.set(title=title, xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    plt.close(figure)
