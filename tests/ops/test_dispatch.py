"""The choice of target."""

import os
import platform
import subprocess
import sys

import pytest

from fer_edge import ops

BUILT = ops.targets() != ["reference"]


def run_with_target(name, code="from fer_edge import ops; print(ops.target)"):
    """Imports in a new interpreter, because the target is selected once."""
    environment = {**os.environ, "FER_EDGE_OPS": name}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", ops.targets())
def test_each_target_can_be_selected(name):
    answer = run_with_target(name)
    assert answer.stdout.strip() == name, answer.stderr


def test_by_default_the_best_target_is_selected():
    assert run_with_target("").stdout.strip() == ops.targets()[0]


def test_the_reference_is_always_available_and_last():
    assert ops.targets()[-1] == "reference"
    assert len(set(ops.targets())) == len(ops.targets())


@pytest.mark.skipif(not BUILT, reason="the extension is not built, so there is no compiled target")
def test_the_machines_own_target_is_preferred():
    compiled = ops.targets()[:-1]
    assert compiled[-1] == "scalar"
    if platform.machine() == "aarch64":
        assert compiled == ["neon", "scalar"]


def test_an_unknown_target_lists_the_valid_ones():
    answer = run_with_target("sse9")
    assert answer.returncode != 0
    if BUILT:
        assert f"FER_EDGE_OPS must be one of {', '.join(ops.targets())}" in answer.stderr
    else:
        assert "needs the extension, which was not built" in answer.stderr


def test_the_reference_does_not_load_the_extension():
    code = "import sys; from fer_edge import ops; print('fer_edge._core' in sys.modules)"
    assert run_with_target("reference", code).stdout.strip() == "False"


@pytest.mark.skipif(not BUILT, reason="the extension is not built, so there is no compiled target")
def test_the_table_names_its_target():
    from fer_edge import _core

    assert [_core.table(name).name for name in _core.targets()] == ops.targets()[:-1]
    with pytest.raises(ValueError, match="this machine has no target sse9"):
        _core.table("sse9")


def test_the_public_names_are_all_there():
    assert ops.__all__ == [
        "Operations",
        "decode_faces",
        "luma_from_bgr",
        "operations",
        "target",
        "targets",
        "warp_normalize",
    ]
    assert all(hasattr(ops, name) for name in ops.__all__)


def test_without_the_extension_there_is_the_reference(monkeypatch):
    monkeypatch.setitem(sys.modules, "fer_edge._core", None)
    assert ops.targets() == ["reference"]
    assert ops.operations("reference").__name__ == "fer_edge.ops.reference"
    with pytest.raises(ImportError, match="the target 'scalar' needs the extension, which was not built"):
        ops.operations("scalar")
