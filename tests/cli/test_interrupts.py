"""Ctrl-C in `fer-edge`: exit code 130 and silence from its first import on, also in those of libraries."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# What the installed script does. The first lines of {start} run before it.
SCRIPT = "import os, signal, sys\n{start}\nfrom fer_edge.__main__ import main\nsys.exit(main())"
# Interrupts itself some seconds after the start of an import; the first one of main has number 1. Number 0
# only lists the imports.
AT_AN_IMPORT = """
import subprocess
number, delay, seen = int(sys.argv.pop(1)), sys.argv.pop(1), 0
def count(event, arguments):
    global seen
    if event != "import" or signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        return
    seen += 1
    if number == 0:
        os.write(2, b"%s\\n" % arguments[0].encode())
    elif seen == number and delay == "0":
        os.kill(os.getpid(), signal.SIGINT)
    elif seen == number:
        os.posix_spawn("/bin/sh", ["sh", "-c", f"sleep {delay}; kill -INT {os.getpid()}"], os.environ)
sys.addaudithook(count)
"""
# Interrupts itself at the first import of fer_edge.__main__. Only some installations load the popped modules
# at the start.
AT_THE_FIRST_IMPORT = """
import fer_edge
for name in ("collections.abc", "types", "signal"):
    sys.modules.pop(name, None)
has_begun = False
def interrupt(event, arguments):
    global has_begun
    if event == "import" and has_begun:
        has_begun = False
        os.kill(os.getpid(), 2)
    elif event == "import" and arguments[0] == "fer_edge.__main__":
        has_begun = True
sys.addaudithook(interrupt)
"""
# Writes a line as soon as main runs.
SAYS_WHEN_MAIN_RUNS = """
def say(event, arguments):
    if event == "import" and arguments[0] == "fer_edge.cli":
        os.write(1, b"main runs\\n")
sys.addaudithook(say)
"""


@pytest.fixture
def arguments(detector_file: Path, expression_file: Path, two: tuple[Path, Path]) -> list[str]:
    """`predict` of two pictures with the tiny networks."""
    models = ["--model", str(expression_file), "--detector", str(detector_file)]
    return ["predict", *models, "--json", *map(str, two)]


def _run_interrupted(number: int, delay: float, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT.format(start=AT_AN_IMPORT), str(number), str(delay), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _imports(arguments: list[str]) -> list[str]:
    whole = _run_interrupted(0, 0, arguments)
    assert whole.returncode == 0
    return whole.stderr.split()


def test_an_interrupted_import(arguments: list[str]) -> None:
    names = _imports(arguments)
    for number in range(1, len(names) + 1, len(names) // 12):
        done = _run_interrupted(number, 0, arguments)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", ""), names[number - 1]


def test_no_import_comes_before_the_handling_of_ctrl_c(arguments: list[str]) -> None:
    script = SCRIPT.format(start=AT_THE_FIRST_IMPORT)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("extension", ["_multiarray_umath", "onnxruntime_pybind11_state"])
def test_an_interrupt_while_an_extension_starts(extension: str, arguments: list[str]) -> None:
    # An exception inside of them becomes an ImportError, or ends the process with "terminate called".
    number = next(n for n, name in enumerate(_imports(arguments), 1) if name.endswith(extension))
    whole = _run_interrupted(10**6, 0, arguments)
    codes = []
    for delay in (0.003, 0.01, 0.02, 0.04):
        done = _run_interrupted(number, delay, arguments)
        assert done.stderr == "", delay
        codes.append(done.returncode)
        if codes[-1] == 0:
            # On a busy machine the signal came after the end.
            assert done.stdout == whole.stdout
        else:
            assert (codes[-1], whole.stdout.startswith(done.stdout)) == (130, True), delay
    assert 130 in codes


def test_an_interrupt_at_any_time(arguments: list[str]) -> None:
    command = [sys.executable, "-c", SCRIPT.format(start=SAYS_WHEN_MAIN_RUNS), *arguments]
    durations: list[float] = []
    codes: list[int] = []
    for _ in range(2):
        start = time.perf_counter()
        whole = subprocess.run(command, capture_output=True, text=True, check=True)
        durations.append(time.perf_counter() - start)
    for step in range(12):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "main runs\n"
            time.sleep(min(durations) * step / 12)
            process.send_signal(signal.SIGINT)
            # Not communicate(), which loses what readline() has read ahead.
            out, err = process.stdout.read(), process.stderr.read()
        assert err == ""
        codes.append(process.returncode)
        if codes[-1] == 0:
            # It was already done.
            assert "main runs\n" + out == whole.stdout
        else:
            assert codes[-1] == 130
            assert whole.stdout.startswith("main runs\n" + out)
    assert codes[0] == 130
    assert codes.count(130) > 3


def test_a_background_job_stays_deaf_to_ctrl_c(arguments: list[str]) -> None:
    # A shell script starts its background jobs with SIGINT ignored.
    script = SCRIPT.format(start="signal.signal(signal.SIGINT, signal.SIG_IGN)" + AT_AN_IMPORT)
    command = [sys.executable, "-c", script, "1", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2


def test_an_interrupt_between_two_pictures(arguments: list[str], tmp_path: Path) -> None:
    waiting = tmp_path / "camera.png"
    os.mkfifo(waiting)
    command = [sys.executable, "-m", "fer_edge", *arguments, str(waiting)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", "")
    assert all(line.startswith('{"file"') for line in lines)
