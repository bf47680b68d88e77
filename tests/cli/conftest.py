"""Pictures and installations for the command line."""

import hashlib
import shutil
from pathlib import Path

import pytest
from tiny import write_picture

from fer_edge import models
from fer_edge.cli.doctor import command as doctor


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """A picture with two faces and one with none."""
    return write_picture(tmp_path / "two.png", (10, 7), (25, 20)), write_picture(tmp_path / "zero.png")


@pytest.fixture
def installed(
    detector_file: Path, expression_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An installation whose embedded models are the tiny networks."""
    lines = []
    for path, name in ((detector_file, "face-luma.onnx"), (expression_file, "tkfnet-nano.onnx")):
        shutil.copy(path, tmp_path / name)
        lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n")
    (tmp_path / "SHA256SUMS").write_text("".join(lines))
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    monkeypatch.setattr(doctor, "SUMS", tmp_path / "SHA256SUMS")
    return tmp_path
