"""Every exported file is taken by TensorRT's parser and built by its builder, in the precision it states."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from networks import NETWORKS, PRECISIONS, WITH_BLOCKS, converted, plain_float32

from export.precisions.tensors import tensors_of
from fer_edge import models
from fer_edge.backends.engines.precision import confirm_network, layer_precisions
from fer_edge.models import ModelSpec
from fer_edge.onnx_file import weight_precisions_from_onnx

pytestmark = pytest.mark.engines

Parse = Callable[[Path], Any]
Build = Callable[[Any], bytes]
# Products of two results.
WITHOUT_WEIGHTS = {"TokenAttention.scores", "TokenAttention.mixed"}
PLAN_TAG = 0x74727476  # the first four bytes of a plan of TensorRT for RTX, little endian


def grouped(names: tuple[str, ...]) -> list[Any]:
    """Parameters whose tests run in one process each, so that a network is exported once."""
    return [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]


@pytest.fixture(scope="session")
def float32() -> Callable[[str], tuple[onnx.ModelProto, ModelSpec]]:
    """The plain float32 file of a network, exported once."""
    made: dict[str, tuple[onnx.ModelProto, ModelSpec]] = {}

    def get(name: str) -> tuple[onnx.ModelProto, ModelSpec]:
        if name not in made:
            made[name] = plain_float32(name)
        return made[name]

    return get


@pytest.fixture
def write(float32, tmp_path: Path) -> Callable[..., Path]:
    """Writes a network in a precision and a flavour."""

    def write(name: str, precision: str, flavour: str) -> Path:
        path = tmp_path / f"{name}-{precision}-{flavour}.onnx"
        onnx.save(converted(*float32(name), precision, flavour), path)
        return path

    return write


def output_types(network: Any, kind: Any) -> set[Any]:
    """The types that the layers of a kind put out."""
    layers = [network.get_layer(k) for k in range(network.num_layers)]
    return {layer.get_output(0).dtype for layer in layers if layer.type == kind}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", grouped(NETWORKS))
def test_every_network_is_built_in_every_precision(
    name: str, precision: str, write: Callable[..., Path], parse: Parse, build: Build, tensorrt: ModuleType
):
    network = parse(write(name, precision, "plain"))
    convolutions = output_types(network, tensorrt.LayerType.CONVOLUTION)
    assert (tensorrt.DataType.HALF in convolutions) == (precision == "fp16")
    levels = output_types(network, tensorrt.LayerType.QUANTIZE)
    assert levels == ({tensorrt.DataType.INT8} if precision == "int8-trt" else set())
    ends = [network.get_input(0), *(network.get_output(k) for k in range(network.num_outputs))]
    assert {end.dtype for end in ends} == {tensorrt.DataType.FLOAT}
    plan = build(network)
    assert int.from_bytes(plan[:4], "little") == PLAN_TAG


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", grouped(WITH_BLOCKS))
def test_without_a_plugin_the_parser_takes_the_functions_of_a_fused_file(
    name: str, precision: str, write: Callable[..., Path], parse: Parse, build: Build, tensorrt: ModuleType
):
    path = write(name, precision, "fused")
    custom = [node for node in onnx.load(path).graph.node if node.domain]
    assert custom
    network = parse(path)
    layers = [network.get_layer(k).type for k in range(network.num_layers)]
    assert tensorrt.LayerType.PLUGIN_V3 not in layers
    assert len(layers) > len(onnx.load(path).graph.node)
    # Every weight inside the functions is compared with its layer.
    stored, computed = weight_precisions_from_onnx(path.read_bytes()), layer_precisions(tensorrt, network)
    confirm_network(stored, computed, {"fp32": "float32", "fp16": "float16", "int8-trt": "int8"}[precision])
    assert computed.keys() - stored.keys() == (WITHOUT_WEIGHTS if name == "conv-cut" else set())
    if name == "tkfnet-nano-float32":
        assert build(network)


@pytest.mark.parametrize("name", grouped(NETWORKS))
def test_each_layer_has_the_type_that_the_float16_file_states(
    name: str, write: Callable[..., Path], parse: Parse, tensorrt: ModuleType
):
    path = write(name, "fp16", "plain")
    network, proto = parse(path), onnx.load(path)
    stated = tensors_of(proto).types
    kinds = {
        onnx.TensorProto.FLOAT: tensorrt.DataType.FLOAT,
        onnx.TensorProto.FLOAT16: tensorrt.DataType.HALF,
    }
    compared = 0
    for k in range(network.num_layers):
        layer = network.get_layer(k)
        for index in range(layer.num_outputs):
            output = layer.get_output(index)
            if stated.get(output.name) in kinds:
                assert output.dtype == kinds[stated[output.name]], output.name
                compared += 1
    assert compared > len(proto.graph.node) / 2


def test_the_int8_file_for_cpus_is_refused_because_of_its_int32_biases(parse: Parse):
    with pytest.raises(ValueError, match="input has type Int32"):
        parse(models.WEIGHTS / "tkfnet-nano.onnx")


@pytest.mark.parametrize(
    ("name", "block", "attributes"),
    [
        ("tkfnet-nano-float32", "MultiBranchAttention", {"channels": [128]}),
        ("tkfnet-nano-float32", "DCIF", {}),
        pytest.param(
            "conv-cut",
            "TokenAttention",
            {"heads": [1], "epsilon": [pytest.approx(1e-5)]},
            marks=pytest.mark.xdist_group("conv-cut"),
        ),
    ],
)
def test_the_parser_takes_a_registered_plugin_and_hands_it_the_attributes(
    name: str, block: str, attributes: dict[str, list[float]], write: Callable[..., Path]
):
    words = [Path(__file__).with_name("found_creator.py"), write(name, "fp16", "fused"), block, *attributes]
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"creator": block, "attributes": attributes}
