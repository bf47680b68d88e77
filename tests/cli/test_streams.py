"""Output that is a pipe, full or closed, pictures from stdin, and a process that is stopped."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fer_edge.cli import main

COMMAND = [sys.executable, "-m", "fer_edge", "predict"]
Output = pytest.CaptureFixture[str]


def _run(command: str, *paths: object) -> subprocess.CompletedProcess[str]:
    """Runs `predict` in a shell; {predict} stands for the command with its paths."""
    predict = subprocess.list2cmdline([*COMMAND, *map(str, paths)])
    return subprocess.run(
        ["bash", "-c", command.format(predict=predict)],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )


@pytest.mark.parametrize("form", ["", "--json", "--csv"])
def test_a_full_disk_is_one_line(form: str, two: tuple[Path, Path]) -> None:
    done = _run("{predict} " + form + " > /dev/full", *two)
    assert done.stderr == "fer-edge: the output cannot be written: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize("form", ["", "--json", "--csv"])
def test_closed_streams_are_silent(form: str, two: tuple[Path, Path], tmp_path: Path) -> None:
    done = _run("{predict} " + form + " >&-", *two)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = _run("{predict} " + form + " 2>&-", two[0], tmp_path / "none.jpg")
    assert done.returncode == 1
    assert "two.png" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_stopped_process_has_lost_no_result(two: tuple[Path, Path], tmp_path: Path) -> None:
    waiting = tmp_path / "camera.png"
    os.mkfifo(waiting)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [*COMMAND, "--json", str(two[0]), str(waiting)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        # Read while the process waits for the pipe.
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM
    assert json.loads(line)["file"] == str(two[0])


def test_a_picture_from_stdin(two: tuple[Path, Path]) -> None:
    for name in ("-", "/dev/stdin"):
        done = _run(f"cat '{two[0]}' | {{predict}} --json", name)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["file"] == name


def test_a_copy_that_cannot_be_written_is_not_the_inputs_fault(
    two: tuple[Path, Path], installed: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "drawn"
    (folder / "two-faces.jpg").mkdir(parents=True)
    assert main(["predict", "--draw", str(folder), *map(str, two)]) == 1
    output = capsys.readouterr()
    assert output.err == (
        f"fer-edge: {two[0]}: {folder / 'two-faces.jpg'} cannot be written: Is a directory\n"
    )
    assert "no face" in output.out
