"""`make networks` on a stub program: what it repeats after a failure, and which inputs it refuses."""

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Stands in for Python: notes its module, fails if that is $FAILING, else makes what --out names.
STUB = """#!/bin/sh
module=$2
echo "$module" >> "$CALLS"
[ "$module" = "$FAILING" ] && exit 3
while [ $# -gt 1 ]; do
  [ "$1" = --out ] && case $2 in
    *.onnx) touch "$2" ;;
    *) mkdir -p "$2" ;;
  esac
  shift
done
true
"""


class Networks:
    """Runs `make networks` on inputs with spaces in their names."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._stub, self._calls = folder, folder / "stub", folder / "calls"
        self._stub.write_text(STUB, encoding="utf-8")
        self._stub.chmod(0o755)
        self.inputs = {name: folder / f"the {name}" for name in ("FERPLUS", "FACES", "TRUNK")}
        for path in self.inputs.values():
            path.mkdir()

    def make(self, failing: str = "") -> tuple[subprocess.CompletedProcess[str], Counter[str]]:
        """The finished process, and how often it called each module."""
        self._calls.write_text("", encoding="utf-8")
        # As if the environment were installed.
        command = ["make", "networks", "--assume-old=.venv/test.stamp", f"PY={self._stub}"]
        command += [f"RUNS={self.folder / 'runs'}", *(f"{k}={v}" for k, v in self.inputs.items())]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "CALLS": str(self._calls), "FAILING": failing, "MAKEFLAGS": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        return done, Counter(self._calls.read_text(encoding="utf-8").split())


@pytest.fixture
def networks(tmp_path: Path) -> Networks:
    return Networks(tmp_path)


def test_each_step_runs_once(networks: Networks):
    done, calls = networks.make()
    assert done.returncode == 0, done.stderr
    assert calls["training.prepare"] == calls["training.distill"] == 1
    assert calls["training.train"] == 4  # the teacher and three networks
    assert calls["training.evaluate"] == calls["export.onnx_from_checkpoint"] == 3
    again, calls = networks.make()
    assert again.returncode == 0
    assert not calls


@pytest.mark.parametrize(
    "module", ["training.prepare", "training.distill", "training.evaluate", "export.convert"]
)
def test_a_step_that_failed_is_repeated_and_those_before_it_are_not(networks: Networks, module: str):
    done, before = networks.make(failing=module)
    assert done.returncode
    assert before[module] == 1
    done, after = networks.make()
    assert done.returncode == 0, done.stderr
    whole = Counter(
        {
            "training.train": 4,
            "training.adjust_logits": 3,
            "training.evaluate": 3,
            "export.onnx_from_checkpoint": 3,
        }
    )
    for name, count in (before + after).items():
        assert count == whole.get(name, 1) + (name == module), name


@pytest.mark.parametrize("name", ["FERPLUS", "FACES", "TRUNK"])
def test_an_input_that_does_not_exist_is_named_before_any_work(networks: Networks, name: str):
    networks.inputs[name].rmdir()
    done, calls = networks.make()
    assert done.returncode
    assert f"the {name} does not exist" in done.stderr
    assert not calls
