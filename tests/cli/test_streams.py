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


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2> >(exec true)"])
def test_messages_that_cannot_be_written_are_dropped(
    stderr: str, two: tuple[Path, Path], tmp_path: Path
) -> None:
    done = _run("{predict} --json " + stderr, tmp_path / "none.jpg", *two)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["error" in record for record in records] == [True, False, False]
    assert done.returncode == 1


def test_wrong_usage_is_2_where_it_cannot_be_said() -> None:
    # Python ends with 120 if it cannot flush stderr.
    assert _run("{predict} 2>/dev/full", "--none").returncode == 2


def test_a_stream_goes_on_where_its_messages_cannot_be_written(two: tuple[Path, Path]) -> None:
    folder = two[0].parent
    (folder / "a.png").write_bytes(b"is no picture")
    command = f"'{sys.executable}' -m fer_edge stream '{folder}' --json 2>/dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [json.loads(line)["index"] for line in done.stdout.splitlines()] == [1, 2]


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


def test_a_closed_stdin_is_one_line(two: tuple[Path, Path]) -> None:
    done = _run("{predict} --json <&-", "-", two[0])
    assert done.returncode == 1
    assert done.stderr.startswith("fer-edge: -: stdin is closed; ")
    assert len(done.stderr.splitlines()) == 1
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["error" in record for record in records] == [True, False]


def test_a_file_named_as_stdin(
    two: tuple[Path, Path], installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    two[0].rename(folder / "-")
    monkeypatch.chdir(folder)
    # Reading it would fail.
    monkeypatch.setattr(sys, "stdin", None)
    for argument in ("./-", ".", "?", str(folder / "-")):
        assert main(["predict", "--json", argument]) == 0
        assert json.loads(capsys.readouterr().out)["file"] == str(folder / "-")


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
