"""Reads the few properties that the runtime needs from the bytes of an ONNX file.

An ONNX file is one protobuf message. Reading its top level takes a millisecond and needs neither onnx (a
build-time package) nor an engine. So all backends get the same properties, and `fer-edge doctor` can check
models without an engine. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MODEL_GRAPH, MODEL_METADATA, MODEL_FUNCTIONS = 7, 14, 25
GRAPH_NODE, GRAPH_INITIALIZER = 1, 5
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 1, 2, 3, 4, 5, 7
ATTRIBUTE_NAME, ATTRIBUTE_INT = 1, 3
FUNCTION_NAME, FUNCTION_INPUT, FUNCTION_NODE, FUNCTION_DOMAIN = 1, 4, 7, 10
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_LOCATION = 1, 2, 8, 14
EXTERNAL = 1  # location of weights in another file
ENTRY_KEY, ENTRY_VALUE = 1, 2
PRECISIONS = {1: "float32", 2: "int8", 3: "int8", 10: "float16", 16: "bfloat16"}
# Operators whose weights are nearly all of a network's.
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# Operators whose output holds the values of their first input.
SAME_VALUES = ("Cast", "DequantizeLinear", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class OnnxFacts:
    """Metadata entries, number of weights, the data type of most weights, the graph's SHA-256, and whether
    weights are in another file.
    """

    metadata: dict[str, str]
    parameters: int
    precision: str
    graph_sha256: str
    is_split: bool


def facts_from_onnx(data: bytes) -> OnnxFacts:
    """Reads the properties; raises ValueError if the bytes are not a complete ONNX model."""
    metadata: dict[str, str] = {}
    weights: Counter[int] = Counter()
    graphs: list[str] = []
    is_split = False
    for number, value in _fields(memoryview(data)):
        if number == MODEL_METADATA and isinstance(value, memoryview):
            key, text = _entry_from_message(value)
            metadata[key] = text
        elif number == MODEL_GRAPH and isinstance(value, memoryview):
            graphs.append(hashlib.sha256(value).hexdigest())
            for tensor in _messages(value, GRAPH_INITIALIZER):
                kind, count, is_external = _weights_from_tensor(tensor)
                weights[kind] += count
                is_split |= is_external
    if len(graphs) != 1:
        raise ValueError("holds no ONNX graph")
    most = max(weights, key=lambda kind: weights[kind], default=0)
    return OnnxFacts(metadata, weights.total(), PRECISIONS.get(most, "unknown"), graphs[0], is_split)


def without_functions(data: bytes) -> bytes:
    """Returns a model without its functions, so that its custom nodes need plugins."""
    kept, start = [], 0
    for number, _, end in _fields_with_ends(memoryview(data)):
        if number != MODEL_FUNCTIONS:
            kept.append(data[start:end])
        start = end
    return b"".join(kept)


def weight_precisions_from_onnx(data: bytes) -> dict[str, str]:
    """Returns the data type in which the weights of each convolution and matrix product are multiplied.

    Keys are names of nodes; a node without a name is "node_of_" and its first output, as TensorRT's parser
    names it. The nodes of a function count as often as it is called; the second of a name is "NAME (2)".
    Weights may be behind a DequantizeLinear node, which leaves them int8, a Cast, or a change of shape.
    Raises ValueError if the bytes are not a complete ONNX model.
    """
    functions, graphs = {}, []
    for number, value in _fields(memoryview(data)):
        if number == MODEL_GRAPH and not isinstance(value, memoryview):
            raise ValueError("is not an ONNX model")
        if number == MODEL_GRAPH and isinstance(value, memoryview):
            graphs.append(value)
        elif number == MODEL_FUNCTIONS and isinstance(value, memoryview):
            function = _function_from_message(value)
            functions[function.key] = function
    names: Counter[str] = Counter()
    precisions = {}
    for graph in graphs:
        # Initializers may come after the nodes.
        types = dict(map(_type_of_initializer, _messages(graph, GRAPH_INITIALIZER)))
        for name, kind in _products(
            [*map(_node_from_message, _messages(graph, GRAPH_NODE))], types, functions
        ):
            names[name] += 1
            if kind:
                precisions[numbered(name, names[name])] = kind
    return precisions


def numbered(name: str, count: int) -> str:
    """The name of the first, second, ... node of a name."""
    return name if count == 1 else f"{name} ({count})"


class _Node(NamedTuple):
    name: str
    operator: str
    domain: str
    inputs: list[str]
    outputs: list[str]
    to: int  # data type that a Cast casts to, else 0


class _Function(NamedTuple):
    key: tuple[str, str]  # domain and operator of the nodes that call it
    inputs: list[str]
    nodes: list[_Node]


def _products(
    nodes: list[_Node], types: dict[str, str], functions: dict[tuple[str, str], _Function]
) -> Iterator[tuple[str, str]]:
    """Yields the name of each product and the type of its weights, "" if it has none.

    Args:
        nodes: in their order.
        types: constant tensor -> data type; tensors that are made from constants are added.
        functions: that nodes may call.
    """
    for node in nodes:
        if (function := functions.get((node.domain, node.operator))) is not None:
            inner = {
                name: types[i] for name, i in zip(function.inputs, node.inputs, strict=False) if i in types
            }
            # A function never calls itself.
            others = {key: other for key, other in functions.items() if key != function.key}
            yield from _products(function.nodes, inner, others)
        elif node.operator in PRODUCTS:
            kind = next((types[i] for i in node.inputs[:2] if i in types), "")
            yield node.name or f"node_of_{node.outputs[0]}", kind
        elif node.operator in SAME_VALUES and node.inputs and node.inputs[0] in types:
            cast = PRECISIONS.get(node.to, "unknown") if node.operator == "Cast" else types[node.inputs[0]]
            types[node.outputs[0]] = cast


def _type_of_initializer(message: memoryview) -> tuple[str, str]:
    name, kind = "", 0
    for number, value in _fields(message):
        if number == TENSOR_NAME and isinstance(value, memoryview):
            name = bytes(value).decode()
        elif number == TENSOR_TYPE and isinstance(value, int):
            kind = value
    return name, PRECISIONS.get(kind, "unknown")


def _node_from_message(message: memoryview) -> _Node:
    texts = _texts(message, NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR, NODE_DOMAIN)
    to = 0
    for attribute in _messages(message, NODE_ATTRIBUTE):
        fields = dict(_fields(attribute))
        number = fields.get(ATTRIBUTE_INT)
        if _texts(attribute, ATTRIBUTE_NAME)[ATTRIBUTE_NAME] == ["to"] and isinstance(number, int):
            to = number
    return _Node(
        "".join(texts[NODE_NAME]),
        "".join(texts[NODE_OPERATOR]),
        "".join(texts[NODE_DOMAIN]),
        texts[NODE_INPUT],
        texts[NODE_OUTPUT],
        to,
    )


def _function_from_message(message: memoryview) -> _Function:
    texts = _texts(message, FUNCTION_NAME, FUNCTION_INPUT, FUNCTION_DOMAIN)
    key = "".join(texts[FUNCTION_DOMAIN]), "".join(texts[FUNCTION_NAME])
    nodes = [_node_from_message(node) for node in _messages(message, FUNCTION_NODE)]
    return _Function(key, texts[FUNCTION_INPUT], nodes)


def _texts(message: memoryview, *wanted: int) -> dict[int, list[str]]:
    """The texts in the fields of these numbers."""
    texts: dict[int, list[str]] = {number: [] for number in wanted}
    for number, value in _fields(message):
        if number in texts and isinstance(value, memoryview):
            texts[number].append(bytes(value).decode())
    return texts


def _messages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The messages in the fields of this number."""
    for number, value in _fields(message):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _entry_from_message(message: memoryview) -> tuple[str, str]:
    texts = {
        number: bytes(value).decode() for number, value in _fields(message) if isinstance(value, memoryview)
    }
    return texts.get(ENTRY_KEY, ""), texts.get(ENTRY_VALUE, "")


def _weights_from_tensor(tensor: memoryview) -> tuple[int, int, bool]:
    """ONNX data type, number of values, and whether they are in another file."""
    dims: list[int] = []
    kind = location = 0
    for number, value in _fields(tensor):
        if number == TENSOR_DIMS:
            dims += _varints(value) if isinstance(value, memoryview) else [value]
        elif number == TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif number == TENSOR_LOCATION and isinstance(value, int):
            location = value
    return kind, math.prod(dims), location == EXTERNAL


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yields field number and value: an int for a varint, bytes for a field with a length."""
    for number, value, _ in _fields_with_ends(message):
        if value is not None:
            yield number, value


def _fields_with_ends(message: memoryview) -> Iterator[tuple[int, int | memoryview | None, int]]:
    """Yields field number, value and where the field ends; None for a value of another kind."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, value, at
            continue
        if kind == BYTES:
            length, at = _varint(message, at)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError("is not an ONNX model")
        if at + length > len(message):
            raise ValueError("is cut short or is not an ONNX model")
        value_bytes = message[at : at + length] if kind == BYTES else None
        at += length
        yield number, value_bytes, at


def _varints(packed: memoryview) -> list[int]:
    numbers, at = [], 0
    while at < len(packed):
        number, at = _varint(packed, at)
        numbers.append(number)
    return numbers


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise ValueError("is cut short or is not an ONNX model")
