"""Checkpoints are data, not code."""

import pickle
from pathlib import Path

import pytest
import torch

from training.loop.checkpoint import load_checkpoint


def test_a_checkpoint_cannot_run_code(tmp_path: Path):
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return print, ("code ran",)

    path = tmp_path / "checkpoint.pt"
    torch.save({"ema": Evil()}, path)
    with pytest.raises(pickle.UnpicklingError):
        load_checkpoint(path)
