"""Every command line of the documentation, and of `make networks`, is one that its program accepts; none is
run.
"""

import argparse
import importlib
import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
SHELLS = ("sh", "bash", "console", "")
OURS = ("fer_edge", "training", "export", "benchmarks", "tests", "release")


class AcceptedError(Exception):
    """The arguments were parsed; the program goes no further."""


def commands_of(document):
    """The arguments of each command of ours, as ["fer-edge", ...] or ["python", "-m", MODULE, ...]."""
    for language, block in BLOCK.findall(document.read_text(encoding="utf-8")):
        if language not in SHELLS:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            if not re.search(r"\bfer-edge |\bpython -m ", line):
                continue
            yield from commands_of_line(line)


def commands_of_line(line):
    """Splits a shell line at its operators, and drops what stands before a program."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    command: list[str] = []
    for token in [*lexer, ";"]:
        if re.fullmatch(r"[|&;<>]+", token):
            start = next((i for i, t in enumerate(command) if Path(t).name in ("fer-edge", "python")), None)
            if start is not None and (Path(command[start]).name == "fer-edge" or is_ours(command[start:])):
                yield command[start:]
            command = []
        else:
            # A variable of a loop.
            command.append(re.sub(r"\$\{?\w+\}?", "1", token))


def is_ours(command):
    return command[1:2] == ["-m"] and command[2].partition(".")[0] in OURS


NEW = "build/new/"  # a folder that is not there


def commands_of_networks(*inputs: str):
    """The commands that `make networks` would run in a new folder."""
    done = subprocess.run(
        ["make", "--dry-run", "networks", f"RUNS={NEW.rstrip('/')}", *inputs],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr)
    for line in done.stdout.replace("\\\n", " ").splitlines():
        yield from commands_of_line(line)


INPUTS = ("FERPLUS=DATA", "FACES=FACES", "TRUNK=trunk.npz")
CASES = [
    *(
        pytest.param(command, id=f"{document.relative_to(ROOT)}: {' '.join(command)[:60]}")
        for document in DOCUMENTS
        for command in commands_of(document)
    ),
    *(
        pytest.param(command, id=f"make networks: {' '.join(command)[:60]}")
        for command in commands_of_networks(*INPUTS)
    ),
]


# What a command writes into the folder that --out names.
WRITTEN = {
    "training.train": "checkpoint.pt",
    "training.train_crop_check": "checkpoint.pt",
    "training.mark_faces": "marks.npz",
    "training.evaluate": "metrics.json",
}


def test_each_network_is_made_from_what_was_made_before():
    made: set[str] = set()
    for command in commands_of_networks(*INPUTS):
        paths = [(before, path) for before, path in itertools.pairwise(command) if path.startswith(NEW)]
        for before, path in paths:
            assert path in made or before in ("--out", "--json"), f"{path} in {command}"
        for before, path in paths:
            if before in ("--out", "--json"):
                made |= {path, f"{path}/{WRITTEN.get(command[2], '')}"}
    exported = {path.removeprefix(NEW) for path in made if path.endswith(".onnx")}
    assert exported == {
        "tkfnet-nano.onnx",
        "tkfnet-nano-int8.onnx",
        "tkfnet-18-slim.onnx",
        "conv-cut-atto.onnx",
    }


@pytest.mark.parametrize("missing", [i.partition("=")[0] for i in INPUTS])
def test_an_input_that_is_not_given_is_named(missing):
    with pytest.raises(ValueError, match=f"give {missing}="):
        list(commands_of_networks(*(i for i in INPUTS if not i.startswith(missing))))


def test_commands_are_found():
    assert len(CASES) > 40
    line = "VARIABLE=1 .venv/bin/python -m export.verify a.onnx > log && fer-edge doctor | head"
    assert list(commands_of_line(line)) == [
        [".venv/bin/python", "-m", "export.verify", "a.onnx"],
        ["fer-edge", "doctor"],
    ]


@pytest.mark.parametrize("command", CASES)
def test_the_program_accepts_its_arguments(command, monkeypatch, capsys):
    if Path(command[0]).name == "fer-edge":
        name, arguments = "fer_edge.cli", command[1:]
    else:
        name, arguments = command[2], command[3:]
    parse_args = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, *given: object) -> None:
        parse_args(parser, *given)
        raise AcceptedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    main = program(name).main
    try:
        with pytest.raises(AcceptedError):
            main()
    except SystemExit:
        pytest.fail(capsys.readouterr().err)


def program(name):
    """The module that `python -m name` runs."""
    try:
        module = importlib.import_module(name)
        return module if hasattr(module, "main") else importlib.import_module(f"{name}.__main__")
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing in OURS:
            raise
        pytest.skip(f"{name} needs {missing}, which is not installed")
