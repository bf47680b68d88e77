"""`fer-edge` itself: commands, version, closed pipes, interrupts, and names that the terminal cannot show."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fer_edge
from fer_edge.cli import list_models, main, predict, stream
from fer_edge.cli.doctor import command as doctor

Output = pytest.CaptureFixture[str]


def _stopped(arguments: list[str]) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_the_version(capsys: Output) -> None:
    assert _stopped(["--version"]) == 0
    assert capsys.readouterr().out == f"fer-edge {fer_edge.__version__}\n"


def test_the_help_lists_the_commands_in_order(capsys: Output) -> None:
    assert _stopped(["--help"]) == 0
    out = capsys.readouterr().out
    # argparse puts the help of a long name on a line of its own, further to the right.
    named = [line for line in out.splitlines() if line.startswith("    ") and line[4] != " "]
    assert [line.split()[0] for line in named] == [
        "predict",
        "stream",
        "benchmark",
        "build",
        "engines",
        "doctor",
        "models",
    ]
    assert out.startswith("usage: fer-edge ")
    assert "--version " in out


@pytest.mark.parametrize(
    ("command", "module"),
    [("predict", predict), ("stream", stream), ("doctor", doctor), ("models", list_models)],
)
def test_each_command_runs_its_module(
    command: str, module: Any, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr(module, "run", lambda options: 17)
    assert main([command, *(["x.jpg"] if command in ("predict", "stream") else [])]) == 17
    assert _stopped([command, "--help"]) == 0
    assert module.__doc__.split()[0] in capsys.readouterr().out


def test_a_command_must_be_given(capsys: Output) -> None:
    assert _stopped([]) == 2
    assert "COMMAND" in capsys.readouterr().err


def test_the_arguments_of_the_process_are_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr(sys, "argv", ["fer-edge", "--version"])
    assert _stopped(None) == 0  # type: ignore[arg-type]
    assert "fer-edge" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_names_that_the_terminal_cannot_show_are_escaped(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr(doctor, "run", lambda options: 0 * getattr(sys, name).write("\u732b\n"))
    assert main(["doctor"]) == 0
    stream.flush()
    assert stream.buffer.getvalue() == b"\\u732b\n"


def test_a_pipe_that_closes_at_the_last_line_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        # Fits the buffer, so that nothing is written before the end.
        monkeypatch.setattr(doctor, "run", lambda options: 0 * sys.stdout.write("short"))
        assert main(["doctor"]) == 1
        # The rest of the buffer is discarded without an error message.
        stream.flush()


@pytest.mark.parametrize("run", [KeyboardInterrupt, BrokenPipeError])
def test_interrupts_and_closed_pipes(
    run: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(options: object) -> int:
        raise run

    with (tmp_path / "out").open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(doctor, "run", fail)
        assert main(["doctor"]) == (130 if run is KeyboardInterrupt else 1)


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fer_edge", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"fer-edge {fer_edge.__version__}\n"


def test_help_needs_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys\n"
        "for name in ('onnxruntime', 'cv2'): sys.modules[name] = None\n"
        "from fer_edge.cli import main; main(['predict', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_output_may_go_into_any_object(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["models"]) == 0
    assert "tkfnet-nano" in out.getvalue()
