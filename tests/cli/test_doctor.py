"""`fer-edge doctor` and `fer-edge models`: what they find, what they miss, and the command that fixes it."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest

from fer_edge import models
from fer_edge.cli import doctor, main


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


Output = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("installed")
def test_all_is_well(capsys: Output) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for part in (
        "python",
        "numpy",
        "kernels",
        "onnxruntime",
        "cv2",
        "face-luma",
        "tkfnet-nano",
        "CPUExecutionProvider",
    ):
        assert part in out
    assert "would run: Recognizer(model='bright-is-happy'" in out
    assert "missing" not in out


def test_a_changed_model_is_found(installed: Path, capsys: Output) -> None:
    with (installed / "tkfnet-nano.onnx").open("ab") as file:
        # One more metadata entry, empty: still a whole ONNX file, but not the one that was shipped.
        file.write(b"\x72\x00")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "broken   tkfnet-nano" in out
    assert f"is not the one in {installed}/SHA256SUMS" in out
    assert f"fix: {doctor.RESTORE}" in out


def test_a_missing_and_a_corrupt_model_are_found(installed: Path, capsys: Output) -> None:
    (installed / "tkfnet-nano.onnx").unlink()
    (installed / "face-luma.onnx").write_bytes(b"\x08")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "the file is not there" in out
    assert "is cut short or is not an ONNX model" in out
    assert "would not run" in out


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("module", "command"),
    [("onnxruntime", "pip install onnxruntime"), ("cv2", "pip install opencv-python-headless")],
)
def test_a_missing_library_is_found(
    module: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert f"missing  {module}" in out
    assert f"fix: {command}" in out


@pytest.mark.usefixtures("installed")
def test_models_as_text_and_json(capsys: Output) -> None:
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["role"] for record in records] == ["detector", "expression"]
    for record in records:
        assert record["sha256"] in text
        assert f"{record['parameters']:,} parameters" in text
        assert record["licence"] in text
        assert Path(record["path"]).stat().st_size == record["size_bytes"]


def test_models_without_any(installed: Path, capsys: Output) -> None:
    for path in installed.glob("*.onnx"):
        path.unlink()
    assert main(["models"]) == 2
    assert "pip install --force-reinstall" in capsys.readouterr().err
