"""Plants faults in the runtime, one at a time, and reports the faults that no test detects.

    python -m tests.mutation                        # all files; takes hours
    python -m tests.mutation --file detect.py       # the files whose path ends in detect.py
    python -m tests.mutation --sample 200           # a random sample of all faults, fixed by --seed
    python -m tests.mutation --again                # only faults that no earlier run has detected
    python -m tests.mutation --limit 2              # faster: 2 s of tests from other test modules

A fault is planted in a temporary copy of the tree, never in the checkout. The tests that reach the changed
function run in a forked process, in which all libraries are loaded already: first those of the own test
module, the fastest first, up to the first failure. A run that exceeds its time limit counts as a failure,
because a fault may cause an endless loop. Calls in a subprocess cannot be recorded, so a test that starts one
is run for every fault in the folder that it mirrors.

The results are appended to build/mutation.jsonl; --again continues an interrupted run. equivalent.toml lists
the changes that do not affect the behaviour, each with its reason; they are not planted and are counted
separately.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.mutation.operators import Mutant, mutants_of_source
from tests.mutation.runner import Runner

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build" / "mutation.jsonl"
PACKAGES = (
    "fer_edge",
    "fer_edge/backends",
    "fer_edge/benchmark/measure",
    "fer_edge/cli",
    "fer_edge/cli/doctor",
    "fer_edge/detection",
    "fer_edge/device",
    "fer_edge/installation",
    "fer_edge/pictures",
    "fer_edge/pictures/headers",
    "fer_edge/ops",
    "fer_edge/stages",
)
ROOMS = (
    "backends",
    "benchmark",
    "cli",
    "detection",
    "device",
    "installation",
    "ops",
    "pictures",
    "recognizer",
    "stages",
)
TESTS = tuple(f"tests/{room}" for room in ROOMS)
# Their functions are called while fer_edge is imported.
IMPORTED_ONCE = ("fer_edge/ops/__init__.py", "fer_edge/backends/ort.py")
# The tests also need the compiled core, which git does not track.
BUILT = "fer_edge/*.so"


class Planted(NamedTuple):
    """A fault and the file it is planted in."""

    file: str
    mutant: Mutant

    @property
    def name(self) -> str:
        """Identifies the fault in later runs, independent of line numbers."""
        return f"{self.file}: {self.mutant.scope}: {self.mutant.before} -> {self.mutant.after}"


def main() -> int:
    """Plants the faults selected by the command line; returns 1 if one survived that is not listed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", action="append", default=[], help="end of a path, such as draw/layout.py")
    parser.add_argument("--sample", type=int, metavar="N", help="plant N faults, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (%(default)s)")
    parser.add_argument("--again", action="store_true", help="skip faults that an earlier run has detected")
    parser.add_argument("--tests-from", metavar="COMMIT", help="evaluate the tests of another commit")
    parser.add_argument(
        "--limit", type=float, metavar="S", help="maximum seconds of tests from other test modules per fault"
    )
    options = parser.parse_args()
    planted = _planted(options.file)
    listed = _listed(planted)
    if options.sample is not None and options.sample < len(planted):
        planted = random.Random(options.seed).sample(planted, options.sample)
    _one_thread_each()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _copy_tree(tree, options.tests_from)
        os.chdir(tree)
        runner = Runner(_test_files(), options.limit)
        results = _run_all(planted, runner, listed, _noticed_before() if options.again else {})
        runner.close()
    return _report(results)


def _planted(ends: list[str]) -> list[Planted]:
    """All faults of the files whose paths end so, of all files for an empty list."""
    files = sorted(path for package in PACKAGES for path in (ROOT / package).glob("*.py"))
    names = [path.relative_to(ROOT).as_posix() for path in files]
    if ends:
        names = [name for name in names if name.endswith(tuple(ends))]
    return [Planted(name, m) for name in names for m in mutants_of_source((ROOT / name).read_text())]


def _listed(planted: list[Planted]) -> list[str]:
    """The changes of equivalent.toml; ends the program if one of them is no fault of its file any more, or if
    there is no such file.
    """
    equivalent = tomllib.loads(Path(__file__).with_name("equivalent.toml").read_text())
    listed = [f"{file}: {change}" for file, changes in equivalent.items() for change in changes]
    files, names = {fault.file for fault in planted}, {fault.name for fault in planted}
    of_these = [
        change
        for change in listed
        if (file := change.partition(":")[0]) in files or not (ROOT / file).exists()
    ]
    if gone := [change for change in of_these if not any(_is_named(name, change) for name in names)]:
        raise SystemExit("equivalent.toml lists what is no fault any more:\n" + "\n".join(gone))
    return listed


def _one_thread_each() -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"


def _copy_tree(tree: Path, tests_from: str | None) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / line for line in listed.stdout.splitlines()] + list(ROOT.glob(BUILT))
    for path in paths:
        if path.exists():
            copy = tree / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    if tests_from:
        shutil.rmtree(tree / "tests")
        archive = subprocess.run(
            ["git", "archive", tests_from, "tests"], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x"], cwd=tree, input=archive.stdout, check=True)
    os.environ["PYTHONPATH"] = str(tree)


def _test_files() -> list[str]:
    top = sorted(str(path) for path in Path("tests").glob("test_*.py"))
    return [*top, *TESTS]


def _noticed_before() -> dict[str, str]:
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    outcomes = {row["name"]: row["outcome"] for row in map(json.loads, lines)}
    return {name: outcome for name, outcome in outcomes.items() if outcome in ("killed", "timeout")}


def _run_all(
    planted: list[Planted], runner: Runner, listed: list[str], noticed: dict[str, str]
) -> list[tuple[Planted, str]]:
    RESULTS.parent.mkdir(exist_ok=True)
    results, start = [], time.monotonic()
    with RESULTS.open("a") as log:
        for number, one in enumerate(planted, 1):
            listed_too = any(_is_named(one.name, name) for name in listed)
            outcome = "equivalent" if listed_too else noticed.get(one.name) or _outcome(one, runner)
            results.append((one, outcome))
            if one.name in noticed:
                continue
            print(
                json.dumps({"name": one.name, "line": one.mutant.line, "outcome": outcome}),
                file=log,
                flush=True,
            )
            survived = sum(outcome == "survived" for _, outcome in results)
            seconds = time.monotonic() - start
            print(
                f"\r{number}/{len(planted)}  {survived} survived  {seconds:.0f} s  {one.file:30}",
                end="",
                flush=True,
            )
    print()
    return results


def _outcome(one: Planted, runner: Runner) -> str:
    """Returns killed, timeout or survived."""
    path = Path(one.file)
    original = path.read_bytes()
    function = "" if one.file in IMPORTED_ONCE else one.mutant.swappable
    path.write_text(one.mutant.source)
    try:
        for tests in runner.tests_for(one.file, one.mutant.function):
            if outcome := runner.fails(tests, one.file, function, one.mutant.source):
                return outcome
    finally:
        path.write_bytes(original)
    return "survived"


def _is_named(name: str, listed: str) -> bool:
    """Whether an entry of the list names this fault; an entry that ends in * names all with this prefix."""
    return name.startswith(listed[:-1]) if listed.endswith("*") else name == listed


def _report(results: list[tuple[Planted, str]]) -> int:
    counts: dict[str, Counter[str]] = {}
    unlisted = 0
    for one, outcome in results:
        counts.setdefault(one.file, Counter())[outcome] += 1
        if outcome == "survived":
            unlisted += 1
            print(f"{one.file}:{one.mutant.line} {one.mutant.scope}")
            print(f"  - {one.mutant.before}\n  + {one.mutant.after}")
    total: Counter[str] = sum(counts.values(), Counter())
    print(f"{'file':32} killed  timeout  survived  equivalent")
    for file, count in [*sorted(counts.items()), ("all", total)]:
        numbers = "".join(
            f"{count[kind]:>{width}}"
            for kind, width in (("killed", 6), ("timeout", 9), ("survived", 10), ("equivalent", 12))
        )
        print(f"{file:32} {numbers}")
    noticed = total["killed"] + total["timeout"]
    print(
        f"{noticed / max(1, total.total()):.1%} detected of {total.total()}; "
        f"{noticed / max(1, total.total() - total['equivalent']):.1%} without the equivalent ones"
    )
    return 1 if unlisted else 0


if __name__ == "__main__":
    sys.exit(main())
