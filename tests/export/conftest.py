"""Synthetic faces, a tiny exported network, and a function that runs a command."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_networks import saved_checkpoint

from export import onnx_from_checkpoint
from training.data.split import UNKNOWN, Split, save

ROWS = 64
Command = Callable[..., None]


@pytest.fixture(scope="session")
def command() -> Command:
    """Calls the main function of a module with command-line arguments."""

    def call(main: Callable[[], None], *arguments: object) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["command", *map(str, arguments)])
            main()

    return call


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as training.prepare writes it: smooth random pictures without landmarks."""
    folder = tmp_path_factory.mktemp("faces")
    for seed, name in enumerate(("train", "valid", "test")):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (ROWS, 6, 6), dtype=np.uint8)
        images = np.stack([cv2.resize(c, (48, 48), interpolation=cv2.INTER_CUBIC) for c in coarse])
        labels = rng.integers(0, 8, ROWS)
        landmarks = np.full((ROWS, 5, 2), np.nan, np.float32)
        votes = np.eye(8, dtype=np.float32)[labels]
        save(
            Split(images, votes, labels, np.arange(ROWS), np.full(ROWS, UNKNOWN), landmarks),
            folder / f"{name}.npz",
        )
    return folder


@pytest.fixture(scope="session")
def nano_file(tmp_path_factory: pytest.TempPathFactory, faces: Path, command: Command) -> Path:
    """A tiny tkfnet-nano exported by export.onnx_from_checkpoint, with measured values in its spec."""
    folder = tmp_path_factory.mktemp("nano")
    metrics = folder / "metrics.json"
    # The name is not a measured value and must not be taken.
    measured = {"temperature": 0.75, "min_confidence": 0.625, "metrics": {"accuracy": 0.125}, "name": "no"}
    checkpoint = saved_checkpoint("tkfnet-nano", folder)
    model = {"sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest()}
    metrics.write_text(json.dumps({"spec": measured, "context": {"model": model}}), encoding="utf-8")
    out = folder / "nano.onnx"
    named = ("--name", "small", "--version", "7.5", "--metrics", metrics)
    given = ("--data", faces, "--out", out, "--certificate", folder / "certificate.json")
    command(onnx_from_checkpoint.main, "expression", checkpoint, *given, *named)
    return out
