"""Depthwise convolutions of one output a channel, for which ONNX Runtime's CPU provider has fast kernels.

TAFE's local branch makes two outputs of each channel. The CPU provider computes such a convolution as a
grouped one, whose groups are too small for its matrix products.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.precisions.tensors import Tensors, tensors_of
from fer_edge.arrays import F32


def with_single_outputs(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which a depthwise convolution of m outputs a channel is m convolutions and a concatenation.

    The concatenation has another order of channels, so the weights of the pointwise convolution behind it are
    reordered; where anything else follows, the convolution stays as it is. The results are the same but for
    the order of the sums.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    tensors = tensors_of(copy)
    for node in list(copy.graph.node):
        if node.op_type == "Conv" and (reader := _pointwise_reader(node, tensors)) is not None:
            _split(copy.graph, node, reader, tensors)
    return copy


def _pointwise_reader(node: onnx.NodeProto, tensors: Tensors) -> onnx.NodeProto | None:
    """The 1 x 1 convolution that alone reads a depthwise convolution of several outputs a channel."""
    outputs, inputs = tensors.weights[node.input[1]].dims[:2]
    readers = tensors.read_by.get(node.output[0], [])
    if inputs != 1 or outputs == _groups(node) or len(readers) != 1 or readers[0].op_type != "Conv":
        return None
    weight = tensors.weights[readers[0].input[1]].dims
    return readers[0] if weight[1] == outputs and tuple(weight[2:]) == (1, 1) else None


def _groups(node: onnx.NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "group"), 1)


def _split(graph: onnx.GraphProto, node: onnx.NodeProto, reader: onnx.NodeProto, tensors: Tensors) -> None:
    weight, *bias = (numpy_helper.to_array(tensors.weights[name]) for name in node.input[1:])
    count = len(weight) // _groups(node)
    parts = []
    for k in range(count):
        values = [array[k::count] for array in (weight, *bias)]
        names = [f"{name}.{k}" for name in node.input[1:]]
        graph.initializer.extend(map(numpy_helper.from_array, values, names))
        part = onnx.NodeProto()
        part.CopyFrom(node)
        part.name, part.input[1:], part.output[0] = f"{node.name}.{k}", names, f"{node.output[0]}.{k}"
        parts.append(part)
    joined = helper.make_node(
        "Concat", [part.output[0] for part in parts], node.output, f"{node.name}.joined", axis=1
    )
    at = list(graph.node).index(node)
    graph.node.remove(node)
    for added in reversed([*parts, joined]):
        graph.node.insert(at, added)
    order = np.arange(len(weight)).reshape(-1, count).T.ravel()
    pointwise: F32 = numpy_helper.to_array(tensors.weights[reader.input[1]])
    tensors.weights[reader.input[1]].CopyFrom(numpy_helper.from_array(pointwise[:, order], reader.input[1]))
    for name in node.input[1:]:
        graph.initializer.remove(tensors.weights[name])
