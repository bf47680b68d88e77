"""Engines with plugins, built by the command: the parser finds them, and the builder puts them into the plan.

Each build is a process of its own, because a mistake in a plugin ends it. Nothing here runs a plugin.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import onnx
import pytest
from networks import converted, plain_float32
from onnx import helper

from fer_edge import models
from fer_edge.backends.engines.plan_files import plan_name
from fer_edge.backends.engines.plugins.registration import OPENED_BY_PARSER

pytestmark = pytest.mark.engines
Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def linked(tensorrt: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the link that the parser needs."""
    import tensorrt_rtx_libs

    folder, name = tmp_path_factory.mktemp("linked"), OPENED_BY_PARSER[tensorrt.__name__]
    (folder / name).symlink_to(Path(tensorrt_rtx_libs.__file__).with_name(f"{name}.1"))
    return folder


@pytest.fixture
def build(linked: Path, tmp_path: Path) -> Build:
    """Runs ``fer-edge build`` with plugins; what is given changes the environment."""

    def build(file: Path, **changed: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FER_EDGE_PLUGINS": "1", "LD_LIBRARY_PATH": str(linked), **changed}
        command = [sys.executable, "-m", "fer_edge", "build", str(file), "--for", "rtx"]
        return subprocess.run(
            [*command, "--out", str(tmp_path / "engines")],
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
            check=False,
        )

    return build


@pytest.fixture
def fused(tmp_path: Path) -> Callable[[str, str], Path]:
    """A fused file of a network."""

    def write(name: str, precision: str) -> Path:
        path = tmp_path / f"{name}-{precision}.onnx"
        onnx.save(converted(*plain_float32(name), precision, "fused"), path)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("tkfnet-nano-float32", "fp32"),
        ("tkfnet-nano-float32", "fp16"),
        pytest.param("conv-cut", "fp16", marks=pytest.mark.xdist_group("conv-cut")),
    ],
)
def test_a_fused_file_becomes_an_engine_with_plugins(
    name: str, precision: str, fused: Callable[[str, str], Path], build: Build, tmp_path: Path
) -> None:
    file = fused(name, precision)
    done = build(file)
    assert (done.returncode, done.stderr.count("fer-edge: ")) == (0, 0), done.stderr
    name = plan_name(models.read(file))
    assert json.loads((tmp_path / "engines" / f"{name}.json").read_text())["key"]["options"]["plugins"]
    # The builder was given no functions, so each block in the plan is a plugin. The plan names them.
    plan = (tmp_path / "engines" / f"{name}.plan").read_bytes()
    for node in onnx.load(file).graph.node:
        assert not node.domain or node.op_type.encode() in plan


def test_an_engine_without_plugins_is_another_engine(
    fused: Callable[[str, str], Path], build: Build, tmp_path: Path
) -> None:
    file = fused("tkfnet-nano-float32", "fp32")
    assert build(file, FER_EDGE_PLUGINS="0").returncode == 0
    path = tmp_path / "engines" / f"{plan_name(models.read(file))}.plan"
    plain = path.read_bytes()
    done = build(file)
    assert "options: wanted Options(workspace_mib=1024, dla_core=None, plugins=True)" in done.stderr
    assert path.read_bytes() != plain


def test_without_the_link_the_fix_is_said(fused: Callable[[str, str], Path], build: Build) -> None:
    done = build(fused("tkfnet-nano-float32", "fp32"), LD_LIBRARY_PATH="")
    assert done.returncode == 1
    assert "needs libtensorrt_rtx.so for plugins" in done.stderr
    assert "make a link of this name to libtensorrt_rtx.so.1" in done.stderr


def test_a_map_that_the_kernels_do_not_take_is_an_error(
    fused: Callable[[str, str], Path], build: Build
) -> None:
    file = fused("tkfnet-nano-float32", "fp32")
    model = onnx.load(file)
    # The map of the last block, two times larger on each side: 16 x 16 positions.
    block = next(node for node in model.graph.node if node.op_type == "DCIF")
    scales = helper.make_tensor("scales", onnx.TensorProto.FLOAT, [4], [1, 1, 2, 2])
    model.graph.initializer.append(scales)
    larger = helper.make_node("Resize", [block.input[0], "", "scales"], ["larger"], name="larger")
    model.graph.node.insert(list(model.graph.node).index(block), larger)
    block.input[0] = "larger"
    onnx.save(model, file)
    done = build(file)
    assert done.returncode == 1
    assert "cannot be built" in done.stderr
