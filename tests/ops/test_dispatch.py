"""The choice of the target: best by default, by name on request, refused in words."""

import os
import subprocess
import sys

import pytest

from fer_edge import ops


def chosen(value: str | None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "FER_EDGE_OPS"}
    if value is not None:
        environment["FER_EDGE_OPS"] = value
    code = "from fer_edge import ops; print(ops.target)"
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_the_best_target_is_the_default():
    assert chosen(None).stdout.strip() == ops.targets()[0]


@pytest.mark.parametrize("name", ops.targets())
def test_every_target_can_be_asked_for(name: str):
    assert chosen(name).stdout.strip() == name


def test_an_unknown_target_is_refused_with_the_valid_ones():
    done = chosen("mmx")
    assert done.returncode != 0
    assert "mmx" in done.stderr
    assert "reference" in done.stderr or "extension" in done.stderr


def test_the_reference_is_always_there():
    assert ops.targets()[-1] == "reference"
