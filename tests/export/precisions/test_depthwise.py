"""Depthwise convolutions of several outputs a channel, split into convolutions of one."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export import onnx_metadata
from export.certificates.networks import OnnxNetwork, outputs_of
from export.precisions.depthwise import with_single_outputs

CHANNELS, COUNT = 6, 3
RNG = np.random.default_rng(0)


def depthwise_network(reader: str = "Conv", kernel: int = 1, bias: bool = True) -> onnx.ModelProto:
    """A depthwise convolution of COUNT outputs a channel, read by a convolution or by a ReLU."""
    wide = CHANNELS * COUNT
    weights = {"depthwise.weight": RNG.normal(size=(wide, 1, 3, 3)), "depthwise.bias": RNG.normal(size=wide)}
    names = [*weights][: 1 + bias]
    nodes = [helper.make_node("Conv", ["input", *names], ["wide"], "depthwise", group=CHANNELS, pads=[1] * 4)]
    if reader == "Conv":
        weights["last.weight"] = RNG.normal(size=(4, wide, kernel, kernel))
        nodes.append(helper.make_node("Conv", ["wide", "last.weight"], ["logits"], "last"))
    else:
        nodes.append(helper.make_node(reader, ["wide"], ["logits"], "last"))
    shapes = (["n", CHANNELS, 8, 8], ["n", None, None, None])
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(("input", "logits"), shapes, strict=True)
    ]
    initializers = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    graph = helper.make_graph(nodes, "depthwise", ends[:1], ends[1:], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def depthwise_of(proto: onnx.ModelProto) -> list[tuple[int, int]]:
    """Groups and outputs of each depthwise convolution."""
    weights = {w.name: w.dims for w in proto.graph.initializer}
    groups = [(next((a.i for a in n.attribute if a.name == "group"), 1), n) for n in proto.graph.node]
    return [(group, weights[node.input[1]][0]) for group, node in groups if group > 1]


@pytest.mark.parametrize("bias", [True, False])
def test_the_results_are_the_same(bias):
    proto = depthwise_network(bias=bias)
    split = with_single_outputs(proto)
    onnx.checker.check_model(split, full_check=True)
    assert depthwise_of(proto) == [(CHANNELS, CHANNELS * COUNT)]
    assert depthwise_of(split) == [(CHANNELS, CHANNELS)] * COUNT
    x = RNG.normal(size=(2, CHANNELS, 8, 8)).astype(np.float32)
    (expected,), (got,) = (outputs_of(OnnxNetwork(m.SerializeToString()), x) for m in (proto, split))
    # Sums of 18 products of 10 terms each, with values of magnitude 10, in another order.
    np.testing.assert_allclose(got, expected, rtol=0, atol=28 * 10 * np.finfo(np.float32).eps)


@pytest.mark.parametrize("network", [{"reader": "Relu"}, {"kernel": 3}])
def test_what_another_layer_reads_stays(network):
    proto = depthwise_network(**network)
    assert with_single_outputs(proto) == proto


def test_tafe_is_split_and_the_source_is_unchanged(nano_file: Path):
    proto, _ = onnx_metadata.read_with_metadata(nano_file)
    before = proto.SerializeToString()
    split = with_single_outputs(proto)
    assert [outputs // group for group, outputs in depthwise_of(proto)] == [2]
    assert [outputs // group for group, outputs in depthwise_of(split)] == [1, 1]
    assert proto.SerializeToString() == before
