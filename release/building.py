"""What a release is built with. It is pinned, so that the same commit gives the same bytes."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Pinned, because another release may write other bytes.
BUILD_REQUIREMENTS = ("setuptools==83.0.0", "pybind11==3.1.0")
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")


def build_environment(interpreter: Path, folder: Path) -> Path:
    """Returns the Python of a fresh environment with the build requirements."""
    run(interpreter, "-m", "venv", folder)
    python = folder / "bin/python"
    run(python, *PIP, "install", *BUILD_REQUIREMENTS)
    return python


def source_date() -> str:
    """The time of the commit in seconds, unless SOURCE_DATE_EPOCH names another."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return given or run("git", "-C", ROOT, "log", "-1", "--format=%ct").strip()


def run(*command: object, variables: Mapping[str, str] | None = None, folder: Path | None = None) -> str:
    """Runs a command and returns its output; prints the output and ends the program if the command fails."""
    done = subprocess.run(
        list(map(str, command)), env=variables, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise SystemExit(f"exit code {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout
