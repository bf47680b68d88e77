"""Plans that NVIDIA's builder made: header, sidecar, profiles and the precision of each layer."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from onnx import helper
from small_networks import KERNEL, float16_nodes, int8_nodes, write
from tiny import DETECTOR_SPEC, EXPRESSION_SPEC, detector_graph, expression_graph

from fer_edge import models
from fer_edge.backends.engines import build, key, plans
from fer_edge.backends.engines.gpu import Gpu, this_gpu
from fer_edge.backends.engines.plan_files import Plan, read_plan
from fer_edge.backends.engines.plan_header import header_from_plan
from fer_edge.backends.engines.plans import plan_for
from fer_edge.backends.engines.precision import layer_precisions
from fer_edge.backends.engines.products import TENSORRT_RTX, target_for
from fer_edge.backends.engines.profiles import profiles_for
from fer_edge.backends.engines.sidecar import Binding
from fer_edge.models import ModelError

pytestmark = pytest.mark.engines
# A desktop GPU, for the paths that need one to be named. This machine need not have it.
RTX_4090 = Gpu(name="NVIDIA GeForce RTX 4090", compute_capability=89, multiprocessors=128, driver="13.0")
without_gpu = pytest.mark.skipif(this_gpu() is not None, reason="this machine has a GPU")


@pytest.fixture
def make(tensorrt: ModuleType, tmp_path: Path) -> Callable[..., Plan]:
    """Builds the plan of a file for desktop GPUs."""
    return lambda path, **settings: plan_for(
        models.read(path), target_for("rtx"), tmp_path / "engines", **settings
    )


def _binding(value: onnx.ValueInfoProto) -> Binding:
    """An input or output as the file declares it; a side with a name varies."""
    sides = value.type.tensor_type.shape.dim
    shape = tuple(-1 if side.dim_param else side.dim_value for side in sides)
    return Binding(name=value.name, dtype="float32", shape=shape)


@pytest.mark.parametrize("name", ["tkfnet-nano-float32", "face-luma"])
def test_plans_of_the_embedded_models(built: Path, tensorrt: ModuleType, name: str) -> None:
    plan, model = read_plan(built, name), models.read(models.WEIGHTS / f"{name}.onnx")
    sidecar = plan.sidecar
    assert header_from_plan(plan.data).describe() == f"tensorrt-rtx {tensorrt.__version__}"
    assert sidecar.sha256 == hashlib.sha256((built / f"{name}.plan").read_bytes()).hexdigest()
    assert sidecar.key == key.key_for(model, target_for("rtx"), tensorrt.__version__, None, key.Options())
    assert sidecar.key.profiles == profiles_for(model.spec)
    file = onnx.load(model.path)
    products = [node for node in file.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert sidecar.built.precisions == {"float32": len(products)}
    assert list(sidecar.built.inputs) == [_binding(value) for value in file.graph.input]
    assert list(sidecar.built.outputs) == [_binding(value) for value in file.graph.output]
    assert sidecar.built.inspected is False
    assert sidecar.built.seconds > 0


def test_the_types_of_every_layer_of_a_float32_network(
    tensorrt: ModuleType, parse: Callable[[Path], Any]
) -> None:
    network = parse(models.WEIGHTS / "tkfnet-nano-float32.onnx")
    computed = layer_precisions(tensorrt, network)
    nodes = onnx.load(models.WEIGHTS / "tkfnet-nano-float32.onnx").graph.node
    products = {node.name for node in nodes if node.op_type in ("Conv", "Gemm", "MatMul")}
    assert computed == dict.fromkeys(products, "float32")


def test_a_turing_plan_is_another_plan(built: Path, tensorrt: ModuleType, tmp_path: Path) -> None:
    model = models.read(models.WEIGHTS / "face-luma.onnx")
    turing = plan_for(model, target_for("turing"), tmp_path / "turing")
    portable = read_plan(built, "face-luma")
    assert (turing.sidecar.key.target, portable.sidecar.key.target) == ("turing", "rtx")
    # One bit for each compute capability, from 7.5 on: byte 32 of the header.
    assert (turing.data[32], portable.data[32]) == (0b1, 0b1111110)


def test_a_float16_file(make: Callable[..., Plan], tmp_path: Path) -> None:
    plan = make(write(tmp_path / "half.onnx", *float16_nodes()))
    assert plan.sidecar.built.precisions == {"float16": 1, "float32": 1}
    assert plan.sidecar.key.precision == "float16"


def test_an_int8_file(make: Callable[..., Plan], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nodes, weights = int8_nodes(activations=True)
    plan = make(write(tmp_path / "int8.onnx", nodes, weights))
    # NVIDIA does not say that this product computes convolutions in int8.
    assert "for tensorrt-rtx NVIDIA documents convolutions in float32, float16, bfloat16 only" in caplog.text
    assert plan.sidecar.built.precisions == {"int8": 1, "float32": 1}


def test_int8_weights_alone_are_not_int8(make: Callable[..., Plan], tmp_path: Path) -> None:
    nodes, weights = int8_nodes(activations=False)
    with pytest.raises(
        ModelError, match="conv has int8 weights and computes in float32; export the file again"
    ):
        make(write(tmp_path / "weights.onnx", nodes, weights))
    assert not list((tmp_path / "engines").glob("*.plan"))


def test_the_int8_file_for_cpus_is_refused_with_the_fix(make: Callable[..., Plan]) -> None:
    with pytest.raises(
        ModelError, match=r"input has type Int32 .*build the float32 file, for example tkfnet-nano-f"
    ):
        make(models.WEIGHTS / "tkfnet-nano.onnx")


@pytest.mark.parametrize(
    ("graph", "spec"), [(detector_graph(), DETECTOR_SPEC), (expression_graph(), EXPRESSION_SPEC)]
)
def test_nodes_without_names(
    make: Callable[..., Plan],
    write_model: Callable[..., Path],
    graph: onnx.GraphProto,
    spec: models.ModelSpec,
) -> None:
    assert set(make(write_model(graph, spec)).sidecar.built.precisions) == {"float32"}


def test_a_file_with_a_fixed_batch(make: Callable[..., Plan], tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["input", "kernel"], ["float maps"], name="conv")]
    with pytest.raises(
        ModelError, match=r"inputs of \[-1, 1, 16, 16\], where -1 varies, got \[1, 1, 16, 16\]; e"
    ):
        make(write(tmp_path / "fixed.onnx", nodes, {"kernel": KERNEL}, batch=1))


def test_an_unknown_operator(make: Callable[..., Plan], tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["input", "kernel"], ["maps"], name="conv"),
        helper.make_node("Mystery", ["maps"], ["float maps"], name="mystery"),
    ]
    with pytest.raises(ModelError, match=r"TensorRT cannot read .*mystery"):
        make(write(tmp_path / "mystery.onnx", nodes, {"kernel": KERNEL}))


def test_no_accelerator_on_this_machine(make: Callable[..., Plan], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="dla_core must be one of the 0 accelerators of this machine, got 0"):
        make(write(tmp_path / "half.onnx", *float16_nodes()), options=key.Options(dla_core=0))


@without_gpu
def test_the_builder_needs_a_gpu_for_this_gpu(
    tensorrt: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, file = target_for("this", "tensorrt-rtx"), write(tmp_path / "half.onnx", *float16_nodes())
    monkeypatch.setattr(plans, "this_gpu", lambda: None)
    with pytest.raises(
        ModelError, match="needs a GPU and its driver, this machine has none; build on the device"
    ):
        plan_for(models.read(file), target, tmp_path / "engines")
    # Even if a GPU is claimed, the builder looks itself.
    monkeypatch.setattr(plans, "this_gpu", lambda: RTX_4090)
    with pytest.raises(
        ModelError, match=r"half\.onnx cannot be built: there is no GPU, or its driver is older"
    ):
        plan_for(models.read(file), target, tmp_path / "engines")


@without_gpu
def test_a_plan_cannot_be_inspected_without_a_gpu(built: Path, tensorrt: ModuleType) -> None:
    plan, model = read_plan(built, "face-luma"), models.read(models.WEIGHTS / "face-luma.onnx")
    with pytest.raises(
        ModelError, match="the new plan cannot be loaded: there is no GPU, or its driver is older"
    ):
        build._inspect(build.load(TENSORRT_RTX), plan.data, {}, model)


def test_a_build_says_nothing_on_the_terminal_but_that_it_starts(
    make: Callable[..., Plan],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "fer_edge")
    path = write(tmp_path / "half.onnx", *float16_nodes())
    make(path)
    assert capfd.readouterr() == ("", "")
    first, last = [record.getMessage() for record in caplog.records if record.name == "fer_edge"]
    assert first == f"{tmp_path}/engines does not exist; building the engine"
    assert last.endswith(" s: 1 float16, 1 float32 layers")
