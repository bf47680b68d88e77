"""Pictures and installations for the command line."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

import pytest
from doctor_findings import Examine, Finding, findings
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


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """An empty folder of engines."""
    folder = tmp_path / "engines"
    folder.mkdir()
    return folder


@pytest.fixture
def examine(tmp_path: Path, engines: Path, capsys: pytest.CaptureFixture[str]) -> Examine:
    """Runs doctor on a recorded machine, with some files changed; None removes a file."""

    def run(name: str, changes: Mapping[str, str | None] | None = None) -> dict[str, Finding]:
        return findings(name, changes or {}, Path(mkdtemp(dir=tmp_path)), engines, capsys)

    return run
