"""A float16 file computed in float32, rounded to float16 wherever the file says float16.

ONNX Runtime's CPU provider has few float16 kernels. It computes a chain of float16 nodes in float32 without
rounding in between, so it would show a smaller difference than a GPU. Here every float16 tensor is rounded.
An engine that fuses nodes rounds less often.
"""

import onnx
from onnx import TensorProto, helper, inliner, numpy_helper

from export.precisions.tensors import tensors_of

FLOAT, FLOAT16 = TensorProto.FLOAT, TensorProto.FLOAT16


def rounded_in_float32(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with float32 types, and a pair of casts after each tensor that was float16."""
    inlined = inliner.inline_local_functions(proto) if proto.functions else proto
    types = tensors_of(inlined).types
    result = onnx.ModelProto()
    result.CopyFrom(inlined)
    graph = result.graph
    halves = {name for name, kind in types.items() if kind == FLOAT16}
    nodes: list[onnx.NodeProto] = []
    for value in graph.input:
        if value.name in halves:
            nodes += _rounding(value.name, f"{value.name}.rounded")
    renamed = {value.name: f"{value.name}.rounded" for value in graph.input if value.name in halves}
    for node in graph.node:
        copied = onnx.NodeProto.FromString(node.SerializeToString())
        for k, name in enumerate(node.input):
            copied.input[k] = renamed.get(name, name)
        _cast_to_float32(copied)
        nodes.append(copied)
        for k, name in enumerate(node.output):
            if name in halves:
                copied.output[k] = f"{name}.exact"
                nodes += _rounding(f"{name}.exact", name)
    weights = [
        numpy_helper.from_array(numpy_helper.to_array(w).astype("float32"), w.name)
        if w.data_type == FLOAT16
        else TensorProto.FromString(w.SerializeToString())
        for w in graph.initializer
    ]
    for field, values in (("node", nodes), ("initializer", weights), ("value_info", [])):
        graph.ClearField(field)
        getattr(graph, field).extend(values)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = FLOAT
    return result


def _cast_to_float32(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == FLOAT16:
            attribute.i = FLOAT


def _rounding(source: str, target: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Cast", [source], [f"{target}.float16"], name=f"round {target}", to=FLOAT16),
        helper.make_node("Cast", [f"{target}.float16"], [target], name=f"widen {target}", to=FLOAT),
    ]
