"""The flavours of a file: `plain`, and `fused`, whose blocks are custom nodes with an ONNX function each.

A custom node is what a TensorRT plugin over the kernels of csrc/cuda takes: the weights of
`fer_edge.kernels.reference` as inputs, numbers as attributes. TensorRT's parser finds a registered plugin by
the attributes ``plugin_namespace`` and ``plugin_version``. Without a plugin, this parser and ONNX Runtime
compute the function of the same name, which holds the block in standard operators.
"""

from types import ModuleType

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.blocks import dcif, multi_branch_attention, token_attention
from export.blocks.matching import Match, find
from fer_edge.models import ModelError

FLAVOURS = ("plain", "fused")
DOMAIN = "fer_edge"  # also the plugins' namespace
PLUGIN_VERSION = "1"
BLOCKS: dict[str, ModuleType] = {
    "MultiBranchAttention": multi_branch_attention,
    "DCIF": dcif,
    "TokenAttention": token_attention,
}


def flavour_of(proto: onnx.ModelProto) -> str:
    """The flavour of a file, from its nodes."""
    return "fused" if any(node.domain for node in proto.graph.node) else "plain"


def fused_from_plain(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The network with each block of `BLOCKS` as one node.

    Args:
        proto: a float32 network of export.onnx_from_checkpoint.

    Raises:
        ModelError: the network has none of these blocks.
    """
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    used = []
    for name, block in BLOCKS.items():
        for form in block.PLAIN_FORMS:
            for match in find(result.graph, onnx.parser.parse_function(form)):
                _replace(result.graph, name, block, match)
                used.append(name)
    if not used:
        raise ModelError(
            f"the network must have one of the blocks {', '.join(BLOCKS)}, got none; its flavour is plain"
        )
    result.functions.extend(function_of(name) for name in dict.fromkeys(used))
    result.opset_import.add(domain=DOMAIN, version=1)
    return result


def function_of(name: str) -> onnx.FunctionProto:
    """The ONNX function of a block: its inputs, attributes and plain body."""
    function = onnx.parser.parse_function(BLOCKS[name].FUNCTION)
    # Each name once in the model: TensorRT's parser reports the layers of a function by these names.
    for node in function.node:
        node.name = f"{name}.{node.output[0]}"
    return function


def _replace(graph: onnx.GraphProto, name: str, block: ModuleType, match: Match) -> None:
    """Puts the custom node where the block's last node was, and drops weights that are not read any more."""
    parts = block.node_parts(match)
    function = onnx.parser.parse_function(block.FUNCTION)
    source, target = (match.tensors[ends[0]] for ends in (function.input, function.output))
    weights = [
        numpy_helper.from_array(np.ascontiguousarray(values), f"{target}.{key}")
        for key, values in parts.inputs.items()
    ]
    node = helper.make_node(
        name,
        [source, *(w.name for w in weights)],
        [target],
        name=f"{name} {target}",
        domain=DOMAIN,
        plugin_namespace=DOMAIN,
        plugin_version=PLUGIN_VERSION,
        **parts.attributes,
    )
    replaced = {n.output[0] for n in match.nodes.values()}
    kept = []
    for old in graph.node:
        if old.output[0] not in replaced:
            kept.append(onnx.NodeProto.FromString(old.SerializeToString()))
        elif target in old.output:
            kept.append(node)
    read = {tensor for n in kept for tensor in n.input}
    left = [w for w in (*graph.initializer, *weights) if w.name in read]
    left = [onnx.TensorProto.FromString(w.SerializeToString()) for w in left]
    graph.ClearField("node")
    graph.ClearField("initializer")
    graph.ClearField("value_info")
    graph.node.extend(kept)
    graph.initializer.extend(left)
