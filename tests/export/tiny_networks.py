"""The smallest versions of the expression networks, untrained."""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from training.loop.checkpoint import save_checkpoint
from training.loop.settings import Settings
from training.models import build

# name in training.models -> options of its smallest version
TINY = {
    "tkfnet": {"depth": 18, "size": 56, "width": 16},
    "tkfnet-nano": {"widths": [16, 32, 32]},
    "conv-cut": {"variant": "atto", "size": 56, "tokens_width": 32, "layer_scale": 0.5},
    "mobile": {"variant": "mobilenet-v1", "size": 64},
}


def tiny(name: str) -> nn.Module:
    """A network with random statistics and scales in its normalisations."""
    torch.manual_seed(0)
    model = build(name, **TINY[name])
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.0)
            nn.init.normal_(layer.bias, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return model.eval()


def saved_checkpoint(name: str, folder: Path) -> Path:
    """Writes a checkpoint as training.train does."""
    model = tiny(name)
    settings = asdict(Settings(model=name, options=TINY[name], batch_size=16, warmup_steps=0))
    save_checkpoint(folder / f"{name}.pt", {"ema": model.state_dict(), "settings": settings})
    return folder / f"{name}.pt"
