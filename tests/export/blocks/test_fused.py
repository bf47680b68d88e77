"""Blocks are found in exported networks and replaced by custom nodes that compute the same."""

import numpy as np
import onnx
import pytest
from onnx import helper

from export.blocks import fused_from_plain
from export.blocks.matching import find
from export.certificates.networks import OnnxNetwork, outputs_of
from fer_edge import models
from fer_edge.models import ModelError

SHAPE = """
<domain: "plain", opset_import: ["" : 18]>
Residual (x, w, b) => (out)
{
    conv = Conv <pads = [1, 1, 1, 1]> (x, w, b)
    out = Add (conv, x)
}
"""
GRAPH = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[N, 4, 8, 8] input, float[4, 4, 3, 3] w, float[4] b) => (float[N, 4, 8, 8] output)
{
    conv = Conv <pads = [1, 1, 1, 1]> (input, w, b)
    sum = Add (conv, input)
    output = Relu (sum)
}
"""


@pytest.fixture(scope="module")
def nano() -> onnx.ModelProto:
    return onnx.load(models.WEIGHTS / "tkfnet-nano-float32.onnx")


def test_the_embedded_network_has_two_custom_nodes_and_the_same_output(nano: onnx.ModelProto):
    fused = fused_from_plain(nano)
    onnx.checker.check_model(fused, full_check=True)
    custom = [node for node in fused.graph.node if node.domain]
    assert [node.op_type for node in custom] == ["MultiBranchAttention", "DCIF"]
    for node in custom:
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        assert (given["plugin_namespace"], given["plugin_version"]) == (b"fer_edge", b"1")
    weights = {w.name: list(w.dims) for w in fused.graph.initializer}
    assert [weights[name] for name in custom[0].input[5:11]] == [
        [256, 3, 3], [256], [256, 256], [256], [128, 3 * 128], [128]
    ]  # fmt: skip
    assert [weights[name] for name in custom[1].input[1:]] == [[8, 128], [8], [128, 8], [128], [2, 7, 7]]
    x = np.random.default_rng(0).normal(size=(3, 1, 64, 64)).astype(np.float32)
    ours, theirs = (outputs_of(OnnxNetwork(m.SerializeToString()), x)[0] for m in (nano, fused))
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_no_weight_is_left_that_nothing_reads(nano: onnx.ModelProto):
    graph = fused_from_plain(nano).graph
    assert {w.name for w in graph.initializer} <= {name for node in graph.node for name in node.input}


def test_a_network_without_blocks_is_refused():
    with pytest.raises(
        ModelError, match="one of the blocks MultiBranchAttention, DCIF, TokenAttention, got none"
    ):
        fused_from_plain(onnx.load(models.WEIGHTS / "face-luma.onnx"))


def test_a_match_names_tensors_and_nodes():
    (match,) = find(onnx.parser.parse_model(GRAPH).graph, onnx.parser.parse_function(SHAPE))
    assert match.tensors == {"x": "input", "w": "w", "b": "b", "conv": "conv", "out": "sum"}
    assert match.nodes["out"].op_type == "Add"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pads = [1, 1, 1, 1]", "pads = [0, 0, 2, 2]"),  # another attribute
        ("Add (conv, input)", "Add (conv, conv)"),  # another wiring
        ("Add (conv, input)", "Mul (conv, input)"),  # another operator
        ("Relu (sum)", "Add (sum, conv)"),  # an inner tensor is read from outside
        ("(input, w, b)", "(input, w)"),  # another number of inputs
    ],
)
def test_what_is_not_the_pattern_is_not_matched(old: str, new: str):
    graph = onnx.parser.parse_model(GRAPH.replace(old, new)).graph
    assert find(graph, onnx.parser.parse_function(SHAPE)) == []
