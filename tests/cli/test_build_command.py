"""`fer-edge build` without NVIDIA's packages: usage, and what it says. tests/engines builds for real."""

import sys

import pytest

from fer_edge.backends.engines import products
from fer_edge.backends.engines.progress import Progress
from fer_edge.cli import build, main
from fer_edge.installation.repair_commands import install_extra

Output = pytest.CaptureFixture[str]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither product is installed."""
    monkeypatch.setattr(products, "_module", lambda product: None)


@pytest.mark.parametrize(
    "arguments", [[], ["face-luma"], ["--for", "rtx"], ["face-luma", "--for", "orin"], ["x", "--for"]]
)
def test_wrong_usage(arguments: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["build", *arguments])
    assert caught.value.code == 2
    assert "usage: fer-edge build" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--workspace", "0"], ["--dla", "-1"]])
def test_numbers_out_of_range(wrong: list[str], capsys: Output) -> None:
    assert main(["build", "face-luma", "--for", "rtx", *wrong]) == 2
    assert capsys.readouterr().err == "fer-edge: --workspace must be 1 or more, --dla 0 or more\n"


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("target", "fix"), [("rtx", install_extra("rtx")), ("this", "it is part of JetPack")]
)
def test_a_missing_product_is_one_line_with_the_fix(target: str, fix: str, capsys: Output) -> None:
    assert main(["build", "face-luma", "tkfnet-nano-float32", "--for", target]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("fer-edge: tensorrt")
    assert "is not installed" in line
    assert fix in line


def test_an_unknown_model(capsys: Output) -> None:
    assert main(["build", "no-such-model", "--for", "rtx"]) == 1
    assert capsys.readouterr().err.startswith("fer-edge: model 'no-such-model' is no file, nor an embedded")


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (
            Progress(0.0, "Building engine", 0.2, None),
            "[........................]   0% after 0:00: Building engine",
        ),
        (
            Progress(0.5, "Timing tactics", 61.0, 59.9),
            "[############............]  50% after 1:01, 0:59 left: Timing tactics",
        ),
        (Progress(1.0, "done", 754.0, 0.0), "[########################] 100% after 12:34, 0:00 left: done"),
    ],
)
def test_the_progress_as_one_line(progress: Progress, text: str) -> None:
    assert build.progress_text(progress) == text


HALF = Progress(0.5, "Timing tactics", 61.0, 59.9)


def test_a_terminal_shows_one_line_that_is_overwritten(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    display = build.ProgressDisplay("face")
    display(HALF)
    display(HALF)
    display.close()
    line = f"\rface: {build.progress_text(HALF)}\x1b[K"
    assert capsys.readouterr().err == f"{line}{line}\r\x1b[K"


def test_a_log_gets_a_line_now_and_then(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(build.time, "monotonic", lambda: now[0])
    display = build.ProgressDisplay("face")
    for now[0] in (101.0, 114.9, 115.0, 116.0, 131.0):
        display(HALF)
    display.close()
    assert capsys.readouterr().err == f"face: {build.progress_text(HALF)}\n" * 2
