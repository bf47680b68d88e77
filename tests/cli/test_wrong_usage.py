"""Arguments and settings that cannot work: exit code 2, and one line that names them."""

import os
from pathlib import Path

import pytest

from fer_edge.cli import main

TwoPictures = tuple[Path, Path]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--backend", "tpu"],
            "backend must be one of auto, onnxruntime, openvino, tensorrt, tensorrt-rtx, got 'tpu'",
        ),
        (["--threads", "0"], "threads must be None or a whole number from 1 to 1024, got 0"),
        (
            ["--threads", "3000000000"],
            "threads must be None or a whole number from 1 to 1024, got 3000000000",
        ),
        (["--min-face", "1"], "min_face must be None or at least 4 px, got 1.0"),
        (["--threshold", "2"], "threshold must be None or between 0 and 1, got 2.0"),
        (["--model", "nonsense"], "model 'nonsense' is no file, nor an embedded model"),
        (["--detector", os.devnull], "model /dev/null holds no ONNX graph"),
    ],
)
def test_settings_that_cannot_work(
    arguments: list[str],
    message: str,
    two: TwoPictures,
    detector_file: Path,
    expression_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = ["--model", str(expression_file), "--detector", str(detector_file)]
    assert main(["predict", str(two[0]), *models, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"fer-edge: {message}")


@pytest.mark.parametrize(
    "arguments", [["predict", "", "a.jpg"], ["stream", ""], ["predict", "x", "--draw", ""]]
)
def test_an_empty_argument_is_not_the_current_folder(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert ": is empty; give a name" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", ["", "predict", "predict --json --csv x", "predict x --threads two", "stream"]
)
def test_wrong_usage(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    assert "usage: fer-edge" in capsys.readouterr().err
