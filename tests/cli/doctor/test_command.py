"""`fer-edge doctor`: its findings, and the command that fixes each."""

import hashlib
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

import fer_edge
from fer_edge import models, ops
from fer_edge.cli import main
from fer_edge.cli.doctor import command as doctor

Output = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("installed")
def test_a_complete_installation(capsys: Output) -> None:
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
        # One more, empty metadata entry: still a valid ONNX file, but not the shipped one.
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


def findings(out: str) -> dict[str, tuple[str, str, str]]:
    """The output of doctor: name -> state, detail, command that fixes it."""
    found: dict[str, tuple[str, str, str]] = {}
    for line in out.splitlines()[1:]:
        if line.startswith(" " * 24 + "fix: "):
            name = list(found)[-1]
            found[name] = (*found[name][:2], line.removeprefix(" " * 24 + "fix: "))
        elif line.startswith("  "):
            state, name, detail = line[2:9].rstrip(), line[11:23].rstrip(), line[24:]
            assert line[9:11] == "  "
            found[name] = (state, detail, "")
    return found


NAMES = ["python", "numpy", "kernels", "onnxruntime", "cv2", "face-luma", "tkfnet-nano"]


@pytest.mark.usefixtures("installed")
def test_each_finding_has_state_name_and_detail(installed: Path, capsys: Output) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"fer-edge {fer_edge.__version__} in {installed.parent}\n")
    found = findings(out)
    # What follows says what GPU this machine has.
    assert list(found)[: len(NAMES)] == NAMES
    assert {(found[name][0], found[name][2]) for name in NAMES} == {("ok", "")}
    assert found["python"][1].startswith(f"{platform.python_version()} on {platform.platform()}, ")
    assert found["python"][1].endswith(f" {os.cpu_count()} cores")
    assert found["numpy"][1] == np.__version__
    assert found["cv2"][1] == cv2.__version__
    assert found["kernels"][1] == f"{ops.target} (this machine runs: {', '.join(ops.targets())})"
    providers = ", ".join(onnxruntime.get_available_providers())
    assert found["onnxruntime"][1] == f"{onnxruntime.__version__} (offers {providers})"
    for name in NAMES[-2:]:
        sha256 = hashlib.sha256((installed / f"{name}.onnx").read_bytes()).hexdigest()
        assert found[name][1] == f"version 0, sha256 {sha256[:12]}... as shipped"
    assert re.search(r"^would run: Recognizer\(.*\), ready in [1-9]\d* ms$", out, re.MULTILINE)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("targets", "target", "expected"),
    [
        # A test double of other processors: this machine has only one.
        (
            ["best", "scalar", "reference"],
            "best",
            ("ok", "best (this machine runs: best, scalar, reference)", ""),
        ),
        (
            ["best", "scalar", "reference"],
            "scalar",
            (
                "slow",
                "scalar (this machine runs: best, scalar, reference); FER_EDGE_OPS asks for it",
                "unset FER_EDGE_OPS",
            ),
        ),
        (
            ["opencv", "reference"],
            "opencv",
            (
                "slow",
                "opencv (this machine runs: opencv, reference); the compiled core is not built",
                doctor.REINSTALL,
            ),
        ),
        (
            ["reference"],
            "reference",
            (
                "slow",
                "reference (this machine runs: reference); the compiled core is not built",
                doctor.REINSTALL,
            ),
        ),
    ],
)
def test_slow_kernels_are_reported_without_a_failure(
    targets: list[str],
    target: str,
    expected: tuple[str, str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    monkeypatch.setattr(ops, "targets", lambda: targets)
    monkeypatch.setattr(ops, "target", target)
    assert main(["doctor"]) == 0
    assert findings(capsys.readouterr().out)["kernels"] == expected


@pytest.mark.parametrize("target", ["abacus", "scalar"])
def test_kernels_that_cannot_be_chosen_are_missing(target: str, tmp_path: Path) -> None:
    # In a new interpreter, because the target is selected once. "scalar" needs the extension.
    code = (
        "import sys\n"
        "if sys.argv[1] == 'scalar': sys.modules['fer_edge._core'] = None\n"
        "from fer_edge.cli import main; sys.exit(main(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, target],
        env={**os.environ, "FER_EDGE_OPS": target},
        capture_output=True,
        text=True,
        check=False,
    )
    state, detail, fix = findings(done.stdout)["kernels"]
    assert (done.returncode, state, fix) == (1, "missing", "unset FER_EDGE_OPS")
    assert detail.startswith(
        "FER_EDGE_OPS must be one of" if target == "abacus" else "the target 'scalar' needs"
    )


def test_each_broken_model_is_one_finding(installed: Path, capsys: Output) -> None:
    (installed / "face-luma.onnx").write_bytes(b"\x08")
    with (installed / "tkfnet-nano.onnx").open("ab") as file:
        file.write(b"\x72\x00")
    assert main(["doctor"]) == 1
    found = findings(capsys.readouterr().out)
    assert list(found)[: len(NAMES)] == NAMES
    assert found["face-luma"][::2] == found["tkfnet-nano"][::2] == ("broken", doctor.RESTORE)
    (installed / "face-luma.onnx").unlink()
    (installed / "SHA256SUMS").unlink()
    assert main(["doctor"]) == 1
    found = findings(capsys.readouterr().out)
    assert list(found)[: len(NAMES)] == NAMES
    assert found["face-luma"] == ("missing", "the file is not there", doctor.RESTORE)
    assert found["tkfnet-nano"][::2] == ("broken", doctor.RESTORE)
    assert f"is not the one in {installed / 'SHA256SUMS'}" in found["tkfnet-nano"][1]


@pytest.mark.parametrize("error", [models.ModelError, ImportError, RuntimeError])
@pytest.mark.usefixtures("installed")
def test_a_recognizer_that_cannot_be_constructed_is_a_finding(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    def fail() -> None:
        raise error("no such luck")

    monkeypatch.setattr("fer_edge.recognizer.Recognizer", fail)
    assert main(["doctor"]) == 1
    captured = capsys.readouterr()
    assert "would run" not in captured.out
    assert captured.err == "would not run: no such luck\n"
