"""A GPU that refuses is one line; the errors stand in for the GPU that the tests do not have."""

from pathlib import Path
from typing import Any

import pytest
from made_videos import cell_video
from tiny import write_picture

import fer_edge.recognizer
from fer_edge.backends.cuda.device import DeviceError
from fer_edge.backends.ort import OrtBackend
from fer_edge.cli import main

MESSAGE = "GPU 0 cannot be used: out of memory"


def _refuse(*arguments: Any, **settings: Any) -> Any:
    raise DeviceError(MESSAGE)


@pytest.fixture
def networks(detector_file: Path, expression_file: Path) -> list[str]:
    return ["--model", str(expression_file), "--detector", str(detector_file)]


@pytest.mark.parametrize("command", ["predict", "stream"])
def test_at_the_start(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    video = cell_video(tmp_path / "a.mp4", frames=1)
    monkeypatch.setattr(fer_edge.recognizer.Recognizer, "__init__", _refuse)
    assert main([command, str(video)]) == 2
    assert tuple(capsys.readouterr()) == ("", f"fer-edge: {MESSAGE}\n")


def test_at_the_start_of_the_second_recogniser(
    networks: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make = fer_edge.recognizer.Recognizer.__init__

    def make_one(self: Any, *arguments: Any, **settings: Any) -> None:
        # `predict` has other settings for pictures than for videos.
        (make if "min_face_share" in settings else _refuse)(self, *arguments, **settings)

    monkeypatch.setattr(fer_edge.recognizer.Recognizer, "__init__", make_one)
    assert main(["predict", str(cell_video(tmp_path / "a.mp4", frames=1)), *networks]) == 2
    assert tuple(capsys.readouterr()) == ("", f"fer-edge: {MESSAGE}\n")


def test_at_each_input(
    networks: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    video, picture = cell_video(tmp_path / "a.mp4", frames=1), write_picture(tmp_path / "b.png", (10, 7))
    make, run = fer_edge.recognizer.Recognizer.__init__, OrtBackend.run

    def make_then_fail(self: Any, *arguments: Any, **settings: Any) -> None:
        monkeypatch.setattr(OrtBackend, "run", run)
        make(self, *arguments, **settings)
        monkeypatch.setattr(OrtBackend, "run", _refuse)

    monkeypatch.setattr(fer_edge.recognizer.Recognizer, "__init__", make_then_fail)
    assert main(["predict", str(video), str(picture), *networks]) == 1
    assert capsys.readouterr().err == "".join(f"fer-edge: {name}: {MESSAGE}\n" for name in (video, picture))
    assert main(["stream", str(video), *networks]) == 1
    assert capsys.readouterr().err == f"fer-edge: {MESSAGE}\n"
