"""The precisions of an exported file, each a pass over the float32 graph."""

import onnx
from onnx import TensorProto

PRECISIONS = ("fp32", "fp16", "int8-cpu", "int8-trt")


def precision_of(proto: onnx.ModelProto) -> str:
    """The precision of a file, from its types."""
    kinds = {w.name: w.data_type for w in proto.graph.initializer}
    levels = {kinds.get(n.input[2]) for n in proto.graph.node if n.op_type == "QuantizeLinear"}
    if levels:
        return "int8-cpu" if TensorProto.UINT8 in levels else "int8-trt"
    return "fp16" if TensorProto.FLOAT16 in kinds.values() else "fp32"
