"""The tests of the runtime with the lowest and the newest libraries that the package allows.

    python -m tests.environments.matrix WHEEL

Each row is a fresh virtual environment with the wheel. A test that is skipped in any row is a failure, and so
is a row in which fewer tests run than in another. `make test-matrix PYTHON=python3.13` does the same for
another Python.
"""

import argparse
import platform
import shutil
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from tests.environments.fresh import Environment, lower_bounds, run

ROOT = Path(__file__).parents[2]
ROW_NAMES = ("lowest", "lowest with the newest NumPy", "NumPy 1.26", "newest")
# NumPy 1.26 has wheels up to this Python.
NUMPY_1_PYTHON = (3, 12)
# What is not the runtime, or needs the checkout: soak measures memory with the benchmarks.
LEFT_OUT = (
    "aot",
    "benchmarks",
    "docs",
    "environments",
    "export",
    "gpu",
    "kernels",
    "mutation",
    "release",
    "training",
)
LEFT_OUT_FILES = ("test_soak.py",)
# Needs NVIDIA's wheels. A path, because tests/backends/engines is run.
LEFT_OUT_PATH = "tests/engines"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    options = parser.parse_args()
    bounds = lower_bounds(options.wheel)
    tests_by_row: dict[str, int] = {}
    for name in ROW_NAMES:
        if name == "NumPy 1.26" and sys.version_info[:2] > NUMPY_1_PYTHON:
            print(f"{name}: there are no wheels for Python {platform.python_version()}", flush=True)
            continue
        tests_by_row[name] = _run_row(
            name, bounds, options.wheel.resolve(), options.wheel.resolve().parents[1] / "matrix"
        )
    if len(set(tests_by_row.values())) != 1:
        raise SystemExit(f"the rows run different numbers of tests: {tests_by_row}")


def _pins(name: str, bounds: dict[str, str]) -> list[str]:
    """What pip installs beside the wheel in a row."""
    lowest = [f"{library}=={version}" for library, version in bounds.items()]
    return {
        "lowest": lowest,
        "lowest with the newest NumPy": [pin for pin in lowest if not pin.startswith("numpy")],
        "NumPy 1.26": ["numpy==1.26.*"],
        "newest": [],
    }[name]


def _run_row(name: str, bounds: dict[str, str], wheel: Path, folder: Path) -> int:
    """Runs one row, prints its versions and the result, and returns the number of tests."""
    start = time.monotonic()
    environment = Environment(folder / "venv")
    environment.install(f"fer_edge[opencv,test] @ {wheel.as_uri()}", *_pins(name, bounds))
    environment.pip("check")
    versions = ", ".join(f"{library} {environment.version(library)}" for library in bounds)
    print(f"{name}: Python {platform.python_version()}, {versions}", flush=True)
    installed = time.monotonic()
    count = _run_tests(environment, folder / "copy")
    now = time.monotonic()
    print(
        f"  {count} tests passed in {now - installed:.0f} s, after {installed - start:.0f} s of pip",
        flush=True,
    )
    return count


def _run_tests(environment: Environment, folder: Path) -> int:
    """Runs the tests of the runtime from a folder without fer_edge, so that the installed one is tested."""
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", *LEFT_OUT, *LEFT_OUT_FILES)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignored)
    shutil.rmtree(folder / LEFT_OUT_PATH)
    shutil.copy(ROOT / "pyproject.toml", folder)
    results = folder / "results.xml"
    # Old and new releases of the libraries deprecate different things.
    options: Sequence[object] = (
        "-n",
        2,
        "--dist",
        "worksteal",
        "-m",
        "not slow and not fuzz",
        "-W",
        "default",
    )
    run(environment.command("pytest"), *options, f"--junitxml={results}", "tests", cwd=folder)
    suite = ElementTree.parse(results).getroot()[0]
    skipped = [case.get("name") for case in suite.iter("testcase") if case.find("skipped") is not None]
    if skipped:
        raise SystemExit(f"skipped: {', '.join(map(str, skipped))}")
    return int(suite.get("tests", 0))


if __name__ == "__main__":
    main()
