"""`fer-edge doctor` on missing, double and broken copies of OpenCV, ONNX Runtime and NumPy."""

import sys
from pathlib import Path

import pytest
from made_installation import WORKING_CV2, Site

# Imported before a test hides the engine that it keeps.
import fer_edge.backends.ort  # noqa: F401
from fer_edge.cli import main

Output = pytest.CaptureFixture[str]
ABSENT = "not installed; fer-edge predict needs it to read pictures, a Recognizer does not"
DOUBLE = "opencv-python 4.13.0.92 and opencv-python-headless 5.0.0.93 overwrite each other's files"

pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty site-packages at the front of sys.path."""
    return Site(tmp_path / "site", monkeypatch)


def _finding(out: str, name: str) -> list[str]:
    """State, detail and the line with the command of one finding."""
    lines = out.splitlines()
    (at,) = (number for number, line in enumerate(lines) if line[11:23].strip() == name)
    command = lines[at + 1].partition("fix: ")[2]
    assert command == "" or lines[at + 1].startswith(" " * 24 + "fix: ")
    return [lines[at][2:9].strip(), lines[at][24:], command]


@pytest.mark.parametrize("module", ["numpy", "onnxruntime"])
def test_a_library_that_is_needed_and_missing(
    module: str, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    site.hide_others()
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    state, detail, command = _finding(out, module)
    lowest = {"numpy": "1.24", "onnxruntime": "1.19"}[module]
    assert (state, command) == ("missing", f"pip install '{module}>={lowest}'")
    assert module in detail
    assert out.endswith("would not run\n")


def test_without_opencv_a_recognizer_runs(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    site.hide_others()
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert _finding(out, "cv2") == ["absent", ABSENT, "pip install 'opencv-python-headless>=4.10.0.84'"]
    assert "would run: Recognizer(" in out


def test_an_opencv_whose_files_are_lost_is_broken(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert main(["doctor"]) == 1
    state, _, command = _finding(capsys.readouterr().out, "cv2")
    assert state == "broken"
    assert command.startswith("pip install --force-reinstall --no-deps opencv-")


def test_two_distributions_of_opencv(site: Site, capsys: Output) -> None:
    site.add_module("cv2", {"__init__.py": WORKING_CV2})
    site.add("opencv-python", "4.13.0.92", "cv2")
    site.add("opencv-python-headless", "5.0.0.93", "cv2")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    command = (
        "pip uninstall -y opencv-python opencv-python-headless "
        "&& pip install --no-deps opencv-python==4.13.0.92"
    )
    assert _finding(out, "cv2") == ["double", DOUBLE, command]
    # The recogniser works all the same.
    assert "would run: Recognizer(" in out


def test_two_distributions_of_the_engine(site: Site, capsys: Output) -> None:
    site.add_module("onnxruntime", {"__init__.py": ""})
    site.add("onnxruntime", "1.32.0", "onnxruntime")
    site.add("onnxruntime-gpu", "1.31.1", "onnxruntime")
    assert main(["doctor"]) == 1
    state, detail, command = _finding(capsys.readouterr().out, "onnxruntime")
    assert (state, detail.split(" and ")[0]) == ("double", "onnxruntime-gpu 1.31.1")
    assert command.endswith("&& pip install --no-deps onnxruntime-gpu==1.31.1")


def test_the_folder_of_an_uninstalled_opencv(site: Site, capsys: Output) -> None:
    site.hide_others()
    site.add_module("cv2", {})
    assert main(["doctor"]) == 1
    captured = capsys.readouterr()
    assert _finding(captured.out, "cv2") == [
        "broken",
        f"{site.folder / 'cv2'} has no cv2.imdecode",
        "pip install 'opencv-python-headless>=4.10.0.84'",
    ]
    assert captured.err == ""


def test_another_build_of_opencv_is_ok(site: Site, capsys: Output) -> None:
    site.add_module("cv2", {"__init__.py": WORKING_CV2})
    site.add("opencv-contrib-python", "9.8.7", "cv2")
    assert main(["doctor"]) == 0
    assert _finding(capsys.readouterr().out, "cv2") == ["ok", "9.8.7", ""]
