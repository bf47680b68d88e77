"""The tests of the runtime with the lowest and the newest libraries that the package allows.

    python -m tests.environments.matrix WHEEL [--rows lowest other-python]

Each Python has one virtual environment, in which pip exchanges the libraries from row to row. On the Python
that runs this the wheel is installed; on another Python of this machine, if there is one, the source
distribution beside it. A test that is skipped in any row is a failure, and so is a row in which fewer tests
run than in another.
"""

import argparse
import shutil
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.environments.fresh import Environment, lower_bounds, run
from tests.environments.pythons import other_python, version_of

ROOT = Path(__file__).parents[2]
LOWEST, NUMPY_2, NUMPY_1, NEWEST = "lowest", "lowest-but-numpy", "numpy-1.26", "newest"
# The lowest libraries on another Python of this machine.
OTHER_PYTHON = "other-python"
ROWS = (LOWEST, NUMPY_2, NUMPY_1, NEWEST, OTHER_PYTHON)
# NumPy 1.26 has wheels up to this Python.
NUMPY_1_PYTHON = (3, 12)
# What runs on the libraries. Not run: what is no part of the runtime; tests/backends/engines, which work on
# bytes and on doubles of NVIDIA's libraries; and what an extra needs that is not installed here.
TESTS = (
    "test_*.py",
    "backends/test_*.py",
    "cli",
    "detection",
    "draw",
    "fuzz",
    "ops",
    "pictures",
    "recognizer",
    "stages",
    "stream",
)
# Slow, and the same with every release of the libraries: signals and pipes of processes, cameras in threads,
# installations that the tests make up, instruction sets, geometry in plain Python, whole videos.
LEFT_OUT = (
    "cli/doctor/test_command.py",
    "cli/doctor/test_doctor_libraries.py",
    "cli/test_interrupts.py",
    "cli/test_live_page_command.py",
    "cli/test_main.py",
    "cli/test_stream_process.py",
    "cli/test_streams.py",
    "draw/test_layout.py",
    "draw/test_previous.py",
    "fuzz/test_calls.py",
    "ops/test_dispatch.py",
    "stream/test_live.py",
    "stream/test_made_videos.py",
    "stream/test_reconnecting.py",
)


class Rows:
    """The rows of one Python: an environment with the package, and the tests that passed in each row."""

    def __init__(self, python: Path, package: Path, bounds: dict[str, str], folder: Path) -> None:
        self.bounds, self.folder = bounds, folder
        self.python = version_of(python)
        self.tests: dict[str, int] = {}
        self._environment = Environment(folder / "venv", python)
        self._package = f"fer_edge[opencv,test] @ {self._wheel(package).as_uri()}"
        # The first row. What follows takes the other packages as they are.
        self._installed = ""
        self._exchange(LOWEST)
        _copy_tests(folder / "copy")

    def run(self, name: str) -> None:
        """Runs one row, and prints its versions and the result."""
        start = time.monotonic()
        self._exchange(name)
        versions = ", ".join(f"{library} {self._environment.version(library)}" for library in self.bounds)
        print(f"{name}: Python {self.python}, {versions}", flush=True)
        installed = time.monotonic()
        count = _run_tests(self._environment, self.folder / "copy")
        took, pip = time.monotonic() - installed, installed - start
        print(f"  {count} tests passed in {took:.0f} s, after {pip:.0f} s of pip", flush=True)
        self.tests[f"{name}, Python {self.python}"] = count

    def _wheel(self, package: Path) -> Path:
        """The wheel of a source distribution. Not from pip's cache, which may have that of an older one."""
        if package.suffix == ".whl":
            return package
        wheels = self.folder / "wheel"
        self._environment.pip("wheel", "--no-cache-dir", "--no-deps", "--wheel-dir", wheels, package)
        return next(wheels.glob("*.whl"))

    def _exchange(self, name: str) -> None:
        """Installs the libraries of a row, unless they are installed."""
        if name == self._installed:
            return
        newest = list(self.bounds)
        lowest = [f"{library}=={version}" for library, version in self.bounds.items()]
        wanted = {
            LOWEST: lowest,
            NUMPY_2: ["numpy", *(pin for pin in lowest if not pin.startswith("numpy"))],
            NUMPY_1: ["numpy==1.26.*", *(library for library in newest if library != "numpy")],
            NEWEST: newest,
        }[name]
        self._environment.install("--upgrade", self._package, *wanted)
        self._environment.pip("check")
        self._installed = name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    arguments = parser.parse_args()
    wheel = arguments.wheel.resolve()
    (source,) = wheel.parent.glob("*.tar.gz")
    folder, other = wheel.parents[1] / "matrix", other_python() if OTHER_PYTHON in arguments.rows else None
    with ThreadPoolExecutor() as pool:
        # pip uses one core.
        mine = pool.submit(Rows, Path(sys.executable), wheel, lower_bounds(wheel), folder)
        others = other and pool.submit(
            Rows, other, source, lower_bounds(wheel, version_of(other)), folder / "other"
        )
        rows = mine.result()
        other_rows = others and others.result()
    for name in (name for name in ROWS if name in arguments.rows):
        if name == OTHER_PYTHON and other_rows:
            other_rows.run(LOWEST)
        elif name == OTHER_PYTHON:
            print(f"{name}: this machine has none that the package supports", flush=True)
        elif name == NUMPY_1 and sys.version_info[:2] > NUMPY_1_PYTHON:
            print(f"{name}: there are no wheels for Python {rows.python}", flush=True)
        else:
            rows.run(name)
    counts = rows.tests | (other_rows.tests if other_rows else {})
    if not counts:
        raise SystemExit("no row can run on this machine")
    if len(set(counts.values())) != 1:
        raise SystemExit(f"the rows run different numbers of tests: {counts}")


def _copy_tests(folder: Path) -> None:
    """A folder without fer_edge, so that the tests find the installed one."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("tests", "benchmarks"):  # some tests measure memory, or make videos, with the benchmarks
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)


def _run_tests(environment: Environment, folder: Path) -> int:
    """Runs the tests of the runtime on both cores, and returns how many passed."""
    tests = [path for pattern in TESTS for path in _found(folder / "tests", pattern)]
    left_out = [f"--ignore=tests/{name}" for name in LEFT_OUT]
    results = folder / "results.xml"
    # Old and new releases of the libraries deprecate different things.
    chosen = "not slow and not fuzz and not openvino"
    options = ("-n", 2, "--dist", "worksteal", "--timeout", 600, "-m", chosen, "-W", "default", *left_out)
    run(environment.command("pytest"), *options, f"--junitxml={results}", *tests, cwd=folder)
    suite = ElementTree.parse(results).getroot()[0]
    skipped = [case.get("name") for case in suite.iter("testcase") if case.find("skipped") is not None]
    if skipped:
        raise SystemExit(f"skipped: {', '.join(map(str, skipped))}")
    return int(suite.get("tests", 0))


def _found(folder: Path, pattern: str) -> list[Path]:
    """What has moved must not be left out in silence."""
    if not (found := sorted(folder.glob(pattern))):
        raise SystemExit(f"TESTS has {pattern!r}, and there is no such test in {folder}")
    return found


if __name__ == "__main__":
    main()
