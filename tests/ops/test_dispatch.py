"""The choice of target."""

import os
import platform
import re
import subprocess
import sys
import types

import pytest

from fer_edge import ops
from fer_edge.device.processor import CPUINFO
from fer_edge.installation.repair_commands import install_extra
from tests.ops.exact_targets import COMPILED

BUILT = COMPILED != []


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


@pytest.mark.skipif(not BUILT, reason="the extension is not built, so there is no compiled target")
def test_the_extension_sees_what_the_system_says_of_the_processor():
    # Arm has no such flags, and some emulators no such file.
    text = CPUINFO.read_text(encoding="utf-8") if platform.machine() == "x86_64" else ""
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    assert ("avx2" in COMPILED) == (flags is not None and {"avx2", "fma"} <= set(flags[1].split()))


def test_the_reference_is_always_available_and_last():
    assert ops.targets()[-1] == "reference"
    assert len(set(ops.targets())) == len(ops.targets())


@pytest.mark.skipif(not BUILT, reason="the extension is not built, so there is no compiled target")
def test_the_machines_own_target_is_preferred():
    assert COMPILED[-1] == "scalar"
    assert ops.targets()[: len(COMPILED)] == COMPILED
    if platform.machine() == "aarch64":
        assert COMPILED == ["neon", "scalar"]


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

    assert [_core.table(name).name for name in _core.targets()] == COMPILED
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


@pytest.mark.parametrize("module", [None, types.ModuleType("cv2")], ids=["without OpenCV", "with OpenCV"])
def test_without_the_extension(monkeypatch, module):
    monkeypatch.setitem(sys.modules, "fer_edge._core", None)
    monkeypatch.setitem(sys.modules, "cv2", module)
    assert ops.targets() == (["opencv", "reference"] if module else ["reference"])
    assert ops.operations("reference").__name__ == "fer_edge.ops.reference"
    with pytest.raises(ImportError, match="the target 'scalar' needs the extension, which was not built"):
        ops.operations("scalar")


def test_opencv_is_selected_where_the_extension_is_not_built():
    code = (
        "import sys; sys.modules['fer_edge._core'] = None; from fer_edge import ops; "
        "print(ops.target, 'cv2' in sys.modules)"
    )
    assert run_with_target("", code).stdout.split() == ["opencv", "False"]


def test_opencv_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        ImportError, match=re.escape(f"'opencv' needs OpenCV; run `{install_extra('opencv')}`")
    ):
        ops.operations("opencv")


def test_a_broken_opencv_is_named_in_the_first_call(tmp_path, monkeypatch):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1 is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    code = "from fer_edge import ops; import numpy; ops.luma_from_bgr(numpy.zeros((2, 2, 3), numpy.uint8))"
    last = run_with_target("opencv", code).stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: cv2 cannot be imported (libGL.so.1 is missing)")
    assert last.endswith("or set FER_EDGE_OPS=reference, which is slow")
