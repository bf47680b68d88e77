"""The detector's training: short runs, resumed, started from a checkpoint, and from the command line."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.loop.checkpoint import load_checkpoint
from training.train_detector import Settings, main, train

SHORT = Settings(epochs=1, epoch_size=16, batch_size=8, canvas_size=96)


@pytest.mark.slow
def test_the_detector_trains_and_resumes(photographs: Path, tmp_path: Path):
    train(photographs, tmp_path, SHORT, limit=None, workers=0)
    train(photographs, tmp_path, replace(SHORT, epochs=2), limit=None, workers=0)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [r["epoch"] for r in log] == [1, 2]
    assert all(np.isfinite(r["total"]) for r in log)


@pytest.mark.slow
def test_the_detectors_command_line_reaches_the_settings(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    options = [
        "--epochs",
        "3",
        "--epoch-size",
        "8",
        "--batch-size",
        "4",
        "--lr",
        "0.002",
        "--seed",
        "7",
        "--workers",
        "0",
        "--limit",
        "20",
    ]
    for extra, final in (([], 1), (["--final-epochs", "2"], 2)):
        out = tmp_path / str(final)
        monkeypatch.setattr(sys, "argv", ["", str(photographs), "--out", str(out), *options, *extra])
        main()
        settings = load_checkpoint(out / "checkpoint.pt")["settings"]
        assert settings["final_epochs"] == final
        assert (settings["epochs"], settings["batch_size"], settings["lr"]) == (3, 4, 0.002)
        assert (out / "curves.png").exists()


@pytest.mark.slow
def test_a_run_starts_from_the_averaged_weights_of_a_checkpoint(photographs: Path, tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    for out in (first, second):
        out.mkdir()
    train(photographs, first, SHORT, limit=20, workers=0)
    start = first / "checkpoint.pt"
    still = replace(SHORT, lr=0.0, seed=1)
    train(photographs, second, still, limit=20, workers=0, init=start)
    expected, found = (load_checkpoint(out / "checkpoint.pt")["ema"] for out in (first, second))
    for name, value in found.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(value, expected[name])
