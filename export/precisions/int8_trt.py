"""int8 for TensorRT: Q/DQ pairs of signed int8, all zero points 0, weights per output channel.

TensorRT takes no other form: a zero point other than 0, an unsigned activation or a quantised bias (Int32) is
refused by its parser, so ONNX Runtime's U8S8 file (`int8_cpu`) is another file. Each activation is quantised
once, per tensor, and all its readers share the pair, the skip connections of residual blocks included: so
TensorRT can compute the sum in int8 without reading a float32 copy of the map.
"""

from collections.abc import Mapping, Set

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.precisions.tensors import Tensors, tensors_of

OPERATORS = ("Conv", "Gemm", "MatMul")
LEVELS = 127


def quantisable(proto: onnx.ModelProto, tensors: Tensors) -> list[onnx.NodeProto]:
    """The nodes that int8 can compute: products with constant weights whose result is a map.

    The small products of gates and classifier would be no faster, and cost accuracy.
    """
    return [
        node
        for node in proto.graph.node
        if node.op_type in OPERATORS
        and node.input[1] in tensors.weights
        and not all(map(tensors.is_summary, node.output))
    ]


def int8_from_float32(
    proto: onnx.ModelProto, ranges: Mapping[str, float], in_float: Set[str]
) -> onnx.ModelProto:
    """The network with Q/DQ pairs around the `quantisable` nodes, except those named in ``in_float``.

    Args:
        proto: a float32 network.
        ranges: largest absolute value of each quantised activation (`Histograms.ranges`).
        in_float: names of nodes that stay in float32.
    """
    tensors = tensors_of(proto)
    chosen = [node for node in quantisable(proto, tensors) if node.name not in in_float]
    # In the graph's order, so that the same network gives the same bytes.
    activations = list(dict.fromkeys(node.input[0] for node in chosen))
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    pairs = _Pairs(tensors)
    for name in activations:
        pairs.add_activation(name, ranges[name])
    quantised = {node.output[0] for node in chosen}
    for node in result.graph.node:
        if node.output[0] in quantised:
            node.input[0] = f"{node.input[0]}.dequantized"
            node.input[1] = pairs.weight(node)
        elif node.op_type == "Add":
            for k, name in enumerate(node.input):
                if name in activations:
                    node.input[k] = f"{name}.dequantized"
    nodes = pairs.inserted(result.graph)
    result.graph.ClearField("node")
    result.graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    weights = [w for w in (*result.graph.initializer, *pairs.initializers.values()) if w.name in read]
    kept = [TensorProto.FromString(w.SerializeToString()) for w in weights]
    result.graph.ClearField("initializer")
    result.graph.initializer.extend(kept)
    return result


class _Pairs:
    """The Q/DQ nodes of a graph and the initializers they read."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._after: dict[str, list[onnx.NodeProto]] = {}  # activation -> its pair
        self._weights: list[onnx.NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}

    def add_activation(self, name: str, largest: float) -> None:
        scale = self._constant(f"{name}.scale", np.float32(largest / LEVELS))
        zero = self._constant("zero_point", np.int8(0))
        levels = f"{name}.quantized"
        self._after[name] = [
            helper.make_node("QuantizeLinear", [name, scale, zero], [levels], name=f"quantize {name}"),
            helper.make_node(
                "DequantizeLinear", [levels, scale, zero], [f"{name}.dequantized"], name=f"dequantize {name}"
            ),
        ]

    def weight(self, node: onnx.NodeProto) -> str:
        """The name of a node's dequantised weight; nodes with the same weight share it."""
        name, axis = node.input[1], _output_axis(node, self._tensors)
        target = f"{name}.dequantized"
        if f"{name}.int8" not in self.initializers:
            values = numpy_helper.to_array(self._tensors.weights[name])
            others = tuple(k for k in range(values.ndim) if k != axis)
            scale = np.abs(values).max(others) / np.float32(LEVELS)
            scale[scale == 0] = 1  # a channel of zeros
            shape = [-1 if k == axis else 1 for k in range(values.ndim)]
            levels = np.round(values / scale.reshape(shape)).astype(np.int8)
            inputs = [
                self._constant(f"{name}.int8", levels),
                self._constant(f"{name}.scale", scale.astype(np.float32)),
                self._constant(f"zero_points.{len(scale)}", np.zeros(len(scale), np.int8)),
            ]
            self._weights.append(
                helper.make_node("DequantizeLinear", inputs, [target], name=f"dequantize {name}", axis=axis)
            )
        return target

    def inserted(self, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
        """The graph's nodes with each pair after the node that makes its activation."""
        nodes = list(self._weights)
        for value in graph.input:
            nodes += self._after.get(value.name, [])
        for node in graph.node:
            nodes.append(node)
            for name in node.output:
                nodes += self._after.get(name, [])
        return [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]

    def _constant(self, name: str, values: np.ndarray | np.generic) -> str:
        self.initializers.setdefault(name, numpy_helper.from_array(np.asarray(values), name))
        return name


def _output_axis(node: onnx.NodeProto, tensors: Tensors) -> int:
    """The axis of a weight's output channels."""
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    if node.op_type == "Conv" or transposed:
        return 0
    return len(tensors.weights[node.input[1]].dims) - 1
