"""float16 files: what is float16, what stays float32, and how far the result is."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from export.blocks import fused_from_plain
from export.certificates.networks import OnnxNetwork, outputs_of
from export.precisions.fp16 import fp16_from_float32
from export.precisions.tensors import tensors_of
from fer_edge import models
from fer_edge.models import ModelError

# A residual and LayerNormalization, attention over tokens, and a gate from statistics.
TRANSFORMER = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[N, 16, 32] input) => (float[N, 16, 32] output)
<float root = {4.0}>
{
    product = MatMul (input, w)
    turned = Transpose <perm = [0, 2, 1]> (input)
    scores = MatMul (product, turned)
    scaled = Div (scores, root)
    attention = Softmax (scaled)
    mixed = MatMul (attention, product)
    joined = Add (input, mixed)
    output = LayerNormalization (joined, scale, bias)
}
"""


@pytest.fixture(scope="module")
def nano() -> onnx.ModelProto:
    return onnx.load(models.WEIGHTS / "tkfnet-nano-float32.onnx")


def types_by_operator(proto: onnx.ModelProto) -> dict[str, set[int]]:
    """Operator -> types of its outputs."""
    types, found = tensors_of(proto).types, {}
    for node in proto.graph.node:
        found.setdefault(node.op_type, set()).update(types[name] for name in node.output)
    return found


def test_maps_are_float16_and_gates_and_classifier_float32(nano: onnx.ModelProto):
    result = fp16_from_float32(nano)
    onnx.checker.check_model(result, full_check=True)
    kinds = types_by_operator(result)
    half, single = TensorProto.FLOAT16, TensorProto.FLOAT
    for operator in ("ReduceMean", "ReduceMax", "Sigmoid", "Gemm", "Pow", "Sub"):
        assert kinds[operator] == {single}
    # The texture scale and the spatial gate are convolutions of summaries.
    convolutions = [n for n in result.graph.node if n.op_type == "Conv"]
    types = tensors_of(result).types
    wide = {n.input[1] for n in convolutions if types[n.output[0]] == single}
    assert wide == {"tafe.texture.0.weight", "dcif.spatial.0.weight"}
    assert {types[name] for n in convolutions if n.input[1] not in wide for name in n.input} == {half}
    assert {types[v.name] for v in (*result.graph.input, *result.graph.output)} == {single}


def test_layer_normalization_and_softmax_are_float32_and_products_float16():
    proto = onnx.parser.parse_model(TRANSFORMER)
    rng = np.random.default_rng(0)
    weights = {"w": (32, 32), "scale": (32,), "bias": (32,)}
    proto.graph.initializer.extend(
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in weights.items()
    )
    result = fp16_from_float32(proto)
    types = tensors_of(result).types
    single = {
        name for name in ("scaled", "attention", "joined", "output") if types[name] == TensorProto.FLOAT
    }
    assert single == {"scaled", "attention", "joined", "output"}
    assert {types[name] for name in ("product", "scores", "mixed")} == {TensorProto.FLOAT16}


@pytest.mark.parametrize("name", ["tkfnet-nano-float32", "face-luma"])
def test_the_output_is_close(name: str):
    proto = onnx.load(models.WEIGHTS / f"{name}.onnx")
    x = np.random.default_rng(0).normal(size=(2, 1, 64, 64)).astype(np.float32)
    reference = outputs_of(OnnxNetwork(proto.SerializeToString()), x)
    got = outputs_of(OnnxNetwork(fp16_from_float32(proto).SerializeToString(), as_graph=True), x)
    for ours, theirs in zip(reference, got, strict=True):
        # About twenty layers, each rounded to 11 bits.
        assert 0 < np.abs(theirs - ours).max() < 20 * 2**-11 * np.abs(ours).max()


def test_ends_may_be_float16(nano: onnx.ModelProto):
    result = fp16_from_float32(nano, float16_ends=True)
    onnx.checker.check_model(result, full_check=True)
    ends = (*result.graph.input, *result.graph.output)
    assert {v.type.tensor_type.elem_type for v in ends} == {TensorProto.FLOAT16}


def test_custom_nodes_and_their_weights_are_float16(nano: onnx.ModelProto):
    result = fp16_from_float32(fused_from_plain(nano))
    onnx.checker.check_model(result, full_check=True)
    types = tensors_of(result).types
    custom = [n for n in result.graph.node if n.domain]
    assert len(custom) == 2
    assert {types[name] for n in custom for name in (*n.input, *n.output)} == {TensorProto.FLOAT16}


def test_a_weight_beyond_float16_is_refused(nano: onnx.ModelProto):
    large = onnx.ModelProto()
    large.CopyFrom(nano)
    weight = next(w for w in large.graph.initializer if w.name == "trunk.0.weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1e6, weight.name))
    with pytest.raises(
        ModelError, match=r"weight trunk.0.weight must be within float16's 65504, got .*use fp32"
    ):
        fp16_from_float32(large)


def test_a_float16_file_is_refused(nano: onnx.ModelProto):
    with pytest.raises(ModelError, match="float32 throughout"):
        fp16_from_float32(fp16_from_float32(nano))
