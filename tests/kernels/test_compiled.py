"""Triton's kernels compiled for a GPU, in a separate process: no spills, shared memory within the limit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.compiles]

KERNELS = {
    *("depthwise_and_moments", "pointwise_and_gate", "merge"),
    *("joined_gradients", "map_gradients", "tap_gradients"),
    *("dcif", "filter_and_pool", "filter_and_pool_backward"),
    *("project", "attend", "mix", "join", "normalize", "normalize_backward", "attend_backward"),
}


def test_nothing_spills(tmp_path):
    root = Path(__file__).parents[2]
    clean = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        (sys.executable, Path(__file__).with_name("compile_plans.py"), tmp_path),
        env=clean | {"PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert {name for name, *_ in lines} == KERNELS
    assert len(lines) == 2 * 6 + 4 * 3 + 3 * 5 + 7
    for name, channels, dtype, spilled, stack, shared in lines:
        assert spilled == stack == "0", (name, channels, dtype)
        assert int(shared) <= 48 * 1024, (name, channels, dtype)
