"""Two processes train like one with the same global batch."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.data.split import load_prepared
from training.loop.batches import BatchLoader
from training.loop.distributed import Process
from training.loop.settings import Settings
from training.train import train

SCRIPT = """
import sys
from pathlib import Path
from training.loop.settings import Settings
from training.train import train
train(Path(sys.argv[1]), Path(sys.argv[2]), Settings(**eval(sys.argv[3])))
"""
SETTINGS = {
    "epochs": 1,
    "batch_size": 16,
    "warmup_steps": 2,
    "lr": 1e-3,
    "mixup_prob": 0.5,
    "early_size": 0,
    "precision": "float32",
    # No dropout: its random numbers differ between processes.
    "options": {"widths": (16, 16, 32), "blocks": (1, 1, 1), "dropout": 0.0},
}


def launch(prepared: Path, out: Path, count: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-c", SCRIPT, str(prepared), str(out), repr(SETTINGS)]
    started = [
        subprocess.Popen(
            command,
            env=os.environ | common | {"RANK": str(k), "LOCAL_RANK": str(k), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(count)
    ]
    try:
        for running in started:
            _, errors = running.communicate(timeout=240)
            assert running.returncode == 0, errors
    finally:
        # A process without its partner would wait forever.
        for running in started:
            running.kill()
            running.wait()
            running.stderr.close()


@pytest.mark.slow
def test_two_processes_follow_the_loss_of_one(prepared: Path, tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    train(prepared, one, Settings(**SETTINGS))
    launch(prepared, two, 2)
    records = [json.loads((out / "log.jsonl").read_text()) for out in (one, two)]
    for figure in ("train_loss", "valid_loss"):
        assert records[0][figure] == pytest.approx(records[1][figure], abs=1e-4), figure


def test_an_odd_share_cannot_be_mixed(prepared: Path):
    split = load_prepared(prepared, "train")
    with pytest.raises(ValueError, match="even number of rows in each process, got 3"):
        BatchLoader(
            split, Settings(batch_size=6, mixup_prob=0.5), 64, Process(torch.device("cpu"), 0, 2), None
        )


def test_a_batch_that_does_not_divide_is_an_error():
    with pytest.raises(ValueError, match="batch_size must be a multiple of the 3 processes, got 16"):
        Process(torch.device("cpu"), 1, 3).local_rows(16)
    assert Process(torch.device("cpu"), 1, 2).local_rows(16) == slice(8, 16)
