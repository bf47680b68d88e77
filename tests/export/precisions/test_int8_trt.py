"""int8 files for TensorRT: signed, symmetric, per channel, biases and gates in float32."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from export.blocks import fused_from_plain
from export.certificates.networks import OnnxNetwork, outputs_of
from export.precisions.calibration import METHODS, Histograms
from export.precisions.int8_trt import int8_from_float32, quantisable
from export.precisions.tensors import tensors_of
from fer_edge import models


@pytest.fixture(scope="module")
def nano() -> onnx.ModelProto:
    return onnx.load(models.WEIGHTS / "tkfnet-nano-float32.onnx")


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(8, 1, 64, 64)).astype(np.float32)


def quantised(proto: onnx.ModelProto, crops: np.ndarray, in_float: frozenset[str] = frozenset()):
    nodes = quantisable(proto, tensors_of(proto))
    histograms = Histograms(proto, sorted({n.input[0] for n in nodes}), lambda: [crops])
    result = int8_from_float32(proto, histograms.ranges(METHODS["largest"]), in_float)
    onnx.checker.check_model(result, full_check=True)
    return result


@pytest.fixture(scope="module")
def result(nano: onnx.ModelProto, crops: np.ndarray) -> onnx.ModelProto:
    return quantised(nano, crops)


def test_every_zero_point_is_a_signed_zero(result: onnx.ModelProto):
    weights = {w.name: numpy_helper.to_array(w) for w in result.graph.initializer}
    pairs = [n for n in result.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) > 30
    for node in pairs:
        zero = weights[node.input[2]]
        assert zero.dtype == np.int8
        assert not zero.any()
    assert all(w.data_type != TensorProto.INT32 for w in result.graph.initializer)


def test_weights_are_within_half_a_step_per_output_channel(nano: onnx.ModelProto, result: onnx.ModelProto):
    before = {w.name: numpy_helper.to_array(w) for w in nano.graph.initializer}
    after = {w.name: numpy_helper.to_array(w) for w in result.graph.initializer}
    levels = [name for name in after if name.endswith(".int8")]
    assert len(levels) == 15
    for name in levels:
        weight = before[name.removesuffix(".int8")]
        scale = after[f"{name.removesuffix('.int8')}.scale"]
        assert scale.shape == (len(weight),)
        restored = after[name] * scale.reshape(-1, *[1] * (weight.ndim - 1))
        assert (abs(restored - weight) <= 0.501 * scale.reshape(-1, *[1] * (weight.ndim - 1))).all()
        assert abs(after[name].astype(int)).max() == 127


def test_biases_gates_and_classifier_stay_float32(nano: onnx.ModelProto, result: onnx.ModelProto):
    weights = {w.name: w.data_type for w in result.graph.initializer}
    for node in result.graph.node:
        if node.op_type == "Conv" and len(node.input) > 2:
            assert weights[node.input[2]] == TensorProto.FLOAT
        if node.op_type == "Gemm":
            assert weights[node.input[1]] == TensorProto.FLOAT
    assert weights["tafe.texture.0.weight"] == weights["dcif.spatial.0.weight"] == TensorProto.FLOAT


def test_a_skip_connection_reads_the_copy_that_the_block_reads(
    nano: onnx.ModelProto, result: onnx.ModelProto
):
    # The only block without a convolution in its skip connection.
    convolutions = {w: n for n in nano.graph.node if n.op_type == "Conv" for w in n.input}
    (block_input, *_), last = (
        convolutions["trunk.5.conv1.weight"].input,
        convolutions["trunk.5.conv2.weight"],
    )
    add = next(n for n in result.graph.node if n.op_type == "Add" and last.output[0] in n.input)
    assert set(add.input) == {last.output[0], f"{block_input}.dequantized"}


def test_each_activation_has_one_pair(result: onnx.ModelProto):
    quantised = [n.input[0] for n in result.graph.node if n.op_type == "QuantizeLinear"]
    assert len(quantised) == len(set(quantised))


def test_named_nodes_stay_float32(nano: onnx.ModelProto, crops: np.ndarray):
    name = next(n.name for n in nano.graph.node if "trunk.0.weight" in n.input)
    first = next(n for n in quantised(nano, crops, frozenset({name})).graph.node if n.name == name)
    assert list(first.input) == ["input", "trunk.0.weight", "trunk.0.weight_bias"]


def test_the_output_is_close(nano: onnx.ModelProto, result: onnx.ModelProto, crops: np.ndarray):
    ours = outputs_of(OnnxNetwork(nano.SerializeToString()), crops)[0]
    theirs = outputs_of(OnnxNetwork(result.SerializeToString(), as_graph=True), crops)[0]
    # The longest way has fourteen layers, each rounded to 8 bits of its range.
    assert 0 < abs(ours - theirs).max() < 14 / 256 * abs(ours).max()


def test_products_with_transposed_weights_have_scales_along_their_columns():
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 18]> g (float[N, 4, 8] input) => (float[N, 4, 6] output) '
        "{ output = MatMul (input, w) }"
    )
    rng = np.random.default_rng(0)
    weight = (rng.normal(size=(8, 6)) * np.logspace(-3, 1, 6)).astype(np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    proto.graph.node[0].name = "product"
    result = int8_from_float32(proto, {"input": 1.0}, set())
    onnx.checker.check_model(result, full_check=True)
    after = {w.name: numpy_helper.to_array(w) for w in result.graph.initializer}
    assert (abs(after["w.int8"] * after["w.scale"] - weight) <= 0.501 * after["w.scale"]).all()


def test_custom_nodes_stay_float32_among_int8(nano: onnx.ModelProto, crops: np.ndarray):
    result = quantised(fused_from_plain(nano), crops)
    types = tensors_of(result).types
    custom = [n for n in result.graph.node if n.domain]
    assert {types[name] for n in custom for name in n.input} == {TensorProto.FLOAT}
    assert sum(n.op_type == "QuantizeLinear" for n in result.graph.node) >= 8
