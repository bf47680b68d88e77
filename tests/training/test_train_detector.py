"""The detector's training: short runs, resumed, started from a checkpoint, and from the command line."""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training import train_detector
from training.loop.checkpoint import load_checkpoint
from training.train_detector import Settings, main, train

Interrupt = Callable[[object, str], AbstractContextManager[None]]
SHORT = Settings(epochs=1, epoch_size=16, batch_size=8, canvas_size=96)


@pytest.mark.slow
def test_the_detector_trains_and_resumes(photographs: Path, tmp_path: Path, interrupted_after: Interrupt):
    settings = replace(SHORT, epochs=2)
    with interrupted_after(train_detector, "save_checkpoint"):
        train(photographs, tmp_path, settings, limit=None, workers=0)
    train(photographs, tmp_path, settings, limit=None, workers=0)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [r["epoch"] for r in log] == [1, 2]
    assert all(np.isfinite(r["total"]) for r in log)


@pytest.mark.slow
def test_a_run_is_not_resumed_with_other_settings_or_inputs(photographs: Path, tmp_path: Path):
    train(photographs, tmp_path, SHORT, limit=20, workers=0)
    marks, others = tmp_path / "marks.npz", tmp_path / "others"
    shutil.copy(photographs / "faces-0.npz", marks)
    others.mkdir()
    (others / "faces-0.npz").write_bytes((photographs / "faces-0.npz").read_bytes() + b" ")
    for data, settings, limit, inputs, said in (
        (photographs, replace(SHORT, lr=99.0, seed=7), 20, {}, "lr: 0.003 there, 99.0 here, seed: 0 there"),
        (photographs, SHORT, 30, {}, "limit: 20 there, 30 here"),
        (photographs, SHORT, 20, {"marks": marks}, "marks: None there"),
        (photographs, SHORT, 20, {"init": tmp_path / "checkpoint.pt"}, "init: None there"),
        (others, SHORT, 20, {}, "photos: "),
    ):
        with pytest.raises(ValueError, match=rf"written with other settings \({said}"):
            train(data, tmp_path, settings, limit, workers=0, **inputs)


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
    for extra, final, precision in (
        ([], 1, None),
        (["--final-epochs", "2", "--precision", "bfloat16"], 2, "bfloat16"),
    ):
        out = tmp_path / str(final)
        monkeypatch.setattr(sys, "argv", ["", str(photographs), "--out", str(out), *options, *extra])
        main()
        settings = load_checkpoint(out / "checkpoint.pt")["settings"]
        assert (settings["final_epochs"], settings["precision"]) == (final, precision)
        assert (settings["epochs"], settings["batch_size"], settings["lr"]) == (3, 4, 0.002)
        assert (out / "curves.png").exists()


@pytest.mark.slow
def test_bfloat16_reaches_the_convolutions(photographs: Path, tmp_path: Path):
    losses = []
    for precision in ("float32", "bfloat16"):
        out = tmp_path / precision
        out.mkdir()
        train(photographs, out, replace(SHORT, precision=precision), limit=20, workers=0)
        losses.append(json.loads((out / "log.jsonl").read_text())["total"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


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
