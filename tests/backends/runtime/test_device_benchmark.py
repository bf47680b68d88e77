"""benchmarks.device on a GPU that is a double: the program runs to its end; its times mean nothing."""

import json
import sys
from pathlib import Path

import pytest
from tensorrt_double import TensorRT, write_engine

from benchmarks import device
from fer_edge import models

pytestmark = pytest.mark.slow


def test_the_benchmark_runs(tensorrt: TensorRT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("face-luma", device.MODEL):
        write_engine(tmp_path / "engines", models.read(models.WEIGHTS / f"{name}.onnx"))
    monkeypatch.setattr(device, "WARMUP", 1)
    monkeypatch.setattr(device, "ROUNDS", 1)
    monkeypatch.setattr(device, "COUNTS", (0, 4))
    json_file = tmp_path / "device.json"
    arguments = ["--engines", tmp_path / "engines", "--runs", 1, "--json", json_file]
    monkeypatch.setattr(sys, "argv", ["device", *map(str, arguments)])
    device.main()
    result = json.loads(json_file.read_text())
    assert result["product"] == "tensorrt-rtx 1.7.1.116"
    assert result["gpu_ms"].keys() == result["cpu_ms"].keys()
    assert len(result["engines"]) == 7
    assert all(times.keys() == {"graph us", "no graph us"} for times in result["engines"].values())
    assert tensorrt.driver.alive == {}
