"""float16 by casts in the graph, so that strongly typed engines compute what the file says.

Convolutions and matrix products, nearly all of the work, and the maps between them are float16. What
overflows or loses small differences in float16 stays float32, and takes no time: LayerNormalization (its
squares overflow: ConvNeXt's issue 80), softmax, sigmoid, sums over space or channels, and all arithmetic on
the summaries between them (`Tensors.is_summary`), which are gates and the classifier. Element-wise nodes that
only feed such a node, like the squares of a variance, are float32 as well.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.blocks import DOMAIN
from export.precisions.tensors import Tensors, tensors_of
from fer_edge.models import ModelError

FLOAT, FLOAT16 = TensorProto.FLOAT, TensorProto.FLOAT16
ALWAYS_FLOAT32 = {
    "LayerNormalization",
    "Softmax",
    "Sigmoid",
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "GlobalAveragePool",
    "QuantizeLinear",
    "DequantizeLinear",
}
ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Erf"}
# operator -> inputs that are float32 whatever the others are
FLOAT32_INPUTS = {"Resize": (1, 2)}


def fp16_from_float32(proto: onnx.ModelProto, *, float16_ends: bool = False) -> onnx.ModelProto:
    """The network with float16 convolutions, products and maps.

    Args:
        proto: a float32 network; one with custom nodes keeps them, in float16.
        float16_ends: input and outputs are float16 too; else float32.

    Raises:
        ModelError: a weight is outside the range of float16, or the file is not float32 throughout.
    """
    tensors = tensors_of(proto)
    if FLOAT16 in tensors.types.values():
        raise ModelError("the file must be float32 throughout, got float16 tensors; convert its float32 file")
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    rewriting = _Rewriting(tensors, float32_nodes(proto, tensors))
    nodes = rewriting.nodes(proto.graph, float16_ends)
    for field in ("node", "initializer", "value_info"):
        result.graph.ClearField(field)
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(rewriting.weights())
    if float16_ends:
        for value in (*result.graph.input, *result.graph.output):
            value.type.tensor_type.elem_type = FLOAT16
    return result


def float32_nodes(proto: onnx.ModelProto, tensors: Tensors) -> set[str]:
    """First outputs of the nodes that compute in float32."""
    kept = {
        node.output[0]
        for node in proto.graph.node
        # The functions and the kernels of custom nodes sum in float32 themselves.
        if node.domain != DOMAIN
        and (node.op_type in ALWAYS_FLOAT32 or all(map(tensors.is_summary, node.output)))
    }
    # From the last node to the first, so that whole chains are found.
    for node in reversed(proto.graph.node):
        readers = [reader.output[0] for name in node.output for reader in tensors.read_by.get(name, ())]
        if node.op_type in ELEMENTWISE and readers and kept.issuperset(readers):
            kept.add(node.output[0])
    return kept


class _Rewriting:
    """The graph's nodes with casts where a tensor is read in another type than it is made in."""

    def __init__(self, tensors: Tensors, float32: set[str]) -> None:
        self._tensors, self._float32 = tensors, float32
        self._made: dict[str, int] = {}  # float tensor -> type in which it is made
        self._read: dict[tuple[str, int], str] = {}  # (weight or tensor, wanted type) -> name that has it
        self._casts: list[onnx.NodeProto] = []

    def nodes(self, graph: onnx.GraphProto, float16_ends: bool) -> list[onnx.NodeProto]:
        result: list[onnx.NodeProto] = []
        ends = FLOAT16 if float16_ends else FLOAT
        self._made |= {value.name: ends for value in graph.input}
        for node in graph.node:
            copied = self._copied(node)
            # Casts of its inputs, then the node.
            result += [*self._casts, copied]
            self._casts = []
        for value in graph.output:
            if self._made[value.name] != ends:
                source = f"{value.name}.{_name(self._made[value.name])}"
                _rename(result, value.name, source)
                result.append(_cast(source, value.name, ends))
        return result

    def _copied(self, node: onnx.NodeProto) -> onnx.NodeProto:
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        wanted = FLOAT if node.output[0] in self._float32 else FLOAT16
        for k, name in enumerate(node.input):
            if self._tensors.types.get(name) == FLOAT:
                fixed = k in FLOAT32_INPUTS.get(node.op_type, ())
                copied.input[k] = self._named(name, FLOAT if fixed else wanted)
        for name in node.output:
            if self._tensors.types.get(name) == FLOAT:
                self._made[name] = wanted
        return copied

    def _named(self, name: str, wanted: int) -> str:
        """The name under which a tensor can be read in a type; makes the cast or the weight it needs."""
        if (name, wanted) not in self._read:
            is_weight = name in self._tensors.weights
            if wanted == (FLOAT if is_weight else self._made[name]):
                self._read[name, wanted] = name
            else:
                self._read[name, wanted] = f"{name}.{_name(wanted)}"
                if not is_weight:
                    self._casts.append(_cast(name, self._read[name, wanted], wanted))
        return self._read[name, wanted]

    def weights(self) -> list[TensorProto]:
        """The weights that the nodes read, in their types."""
        used = []
        for name, tensor in self._tensors.weights.items():
            if tensor.data_type != FLOAT or (name, FLOAT) in self._read:
                used.append(tensor)
            if (name, FLOAT16) in self._read:
                used.append(_half(tensor, self._read[name, FLOAT16]))
        return used


def _half(tensor: TensorProto, name: str) -> TensorProto:
    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0))
    if largest > float(np.finfo(np.float16).max):
        raise ModelError(f"weight {tensor.name} must be within float16's 65504, got {largest:.3g}; use fp32")
    return numpy_helper.from_array(values.astype(np.float16), name)


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast {source} to {_name(kind)}", to=kind)


def _name(kind: int) -> str:
    return "float16" if kind == FLOAT16 else "float32"


def _rename(nodes: list[onnx.NodeProto], name: str, new: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            for k, old in enumerate(names):
                if old == name:
                    names[k] = new
