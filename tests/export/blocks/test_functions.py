"""The ONNX function of each custom node computes the block's definition, in float32 and float16."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export.blocks import BLOCKS, DOMAIN, function_of
from export.certificates.networks import OnnxNetwork, outputs_of
from fer_edge import kernels
from fer_edge.kernels import random_weights, reference

CHANNELS, HEADS, EPSILON = 32, 2, 1e-5
# name -> channels of the input per channel of the block, weights of the custom node, definition, attributes
CASES = {
    "MultiBranchAttention": (
        2,
        kernels.fold_multi_branch(random_weights.multi_branch_weights(CHANNELS)),
        reference.multi_branch_attention,
        {"channels": CHANNELS},
    ),
    "DCIF": (1, random_weights.dcif_weights(CHANNELS), reference.dcif, {}),
    "TokenAttention": (
        1,
        random_weights.token_attention_weights(CHANNELS),
        lambda x, weights: reference.token_attention(x, weights, HEADS, EPSILON),
        {"heads": HEADS, "epsilon": EPSILON},
    ),
}


def one_node(name: str, kind: int) -> onnx.ModelProto:
    """A network of one custom node whose weights and map have a type; its input and output are float32."""
    wide, weights, _, attributes = CASES[name]
    numpy_kind = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    node = helper.make_node(
        name,
        ["x", *weights._fields],
        ["y"],
        domain=DOMAIN,
        plugin_namespace=DOMAIN,
        plugin_version="1",
        **attributes,
    )
    ends = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", wide * CHANNELS, "H", "W"]),
        helper.make_tensor_value_info("out", TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["input"], ["x"], to=kind),
            node,
            helper.make_node("Cast", ["y"], ["out"], to=TensorProto.FLOAT),
        ],
        name,
        ends[:1],
        ends[1:],
        [
            numpy_helper.from_array(value.numpy().astype(numpy_kind), key)
            for key, value in weights._asdict().items()
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=[function_of(name)], ir_version=8)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("kind", "unit"), [(TensorProto.FLOAT, 2**-24), (TensorProto.FLOAT16, 2**-11)])
def test_the_function_computes_the_definition(name: str, kind: int, unit: float):
    wide, weights, definition, _ = CASES[name]
    x = np.random.default_rng(0).normal(size=(3, wide * CHANNELS, 4, 4)).astype(np.float32)
    got = outputs_of(OnnxNetwork(one_node(name, kind).SerializeToString()), x)[0]
    expected = definition(torch.from_numpy(x).double(), weights).numpy()
    assert got.shape == expected.shape
    # Sums of 9 C terms of magnitude 1 after at most four layers, each rounded.
    np.testing.assert_allclose(got, expected, atol=4 * np.sqrt(9 * CHANNELS) * unit * abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_inputs_and_attributes_are_those_of_the_kernels(name: str):
    _, weights, _, attributes = CASES[name]
    function = function_of(name)
    assert tuple(function.input[1:]) == weights._fields
    assert set(function.attribute) == {*attributes, "plugin_namespace", "plugin_version"}
    assert function.domain == DOMAIN


def test_node_names_are_unique_in_all_functions():
    names = [node.name for name in BLOCKS for node in function_of(name).node]
    assert len(names) == len(set(names))
