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

MODEL_GRAPH, MODEL_METADATA, MODEL_FUNCTIONS = 7, 14, 25
GRAPH_NODE, GRAPH_INITIALIZER = 1, 5
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR = 1, 2, 3, 4
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME = 1, 2, 8
ENTRY_KEY, ENTRY_VALUE = 1, 2
PRECISIONS = {1: "float32", 2: "int8", 3: "int8", 10: "float16", 16: "bfloat16"}
# Operators whose weights are nearly all of a network's.
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class OnnxFacts:
    """Metadata entries, number of weights, the data type of most weights, and the graph's SHA-256."""

    metadata: dict[str, str]
    parameters: int
    precision: str
    graph_sha256: str


def facts_from_onnx(data: bytes) -> OnnxFacts:
    """Reads the properties; raises ValueError if the bytes are not a complete ONNX model."""
    metadata: dict[str, str] = {}
    weights: Counter[int] = Counter()
    graphs: list[str] = []
    for number, value in _fields(memoryview(data)):
        if number == MODEL_METADATA and isinstance(value, memoryview):
            key, text = _entry_from_message(value)
            metadata[key] = text
        elif number == MODEL_GRAPH and isinstance(value, memoryview):
            graphs.append(hashlib.sha256(value).hexdigest())
            weights.update(_weights_from_graph(value))
    if len(graphs) != 1:
        raise ValueError("holds no ONNX graph")
    most = max(weights, key=lambda kind: weights[kind], default=0)
    return OnnxFacts(metadata, weights.total(), PRECISIONS.get(most, "unknown"), graphs[0])


def without_functions(data: bytes) -> bytes:
    """Returns a model without its functions, so that its custom nodes need plugins."""
    kept, start = [], 0
    for number, _, end in _fields_with_ends(memoryview(data)):
        if number != MODEL_FUNCTIONS:
            kept.append(data[start:end])
        start = end
    return b"".join(kept)


def weight_precisions_from_onnx(data: bytes) -> dict[str, str]:
    """Returns the data type in which the weights of each convolution and matrix product are stored.

    Keys are names of nodes; a node without a name is "node_of_" and its first output, as TensorRT's parser
    names it. Weights may be behind a DequantizeLinear node. Raises ValueError if the bytes are not a complete
    ONNX model.
    """
    types: dict[str, str] = {}  # constant tensor -> data type
    products: list[tuple[str, list[str]]] = []  # name of a node, its inputs
    for graph in (value for number, value in _fields(memoryview(data)) if number == MODEL_GRAPH):
        if not isinstance(graph, memoryview):
            raise ValueError("is not an ONNX model")
        # Initializers may come after the nodes.
        for number in (GRAPH_INITIALIZER, GRAPH_NODE):
            for found, message in _fields(graph):
                if found != number or not isinstance(message, memoryview):
                    continue
                if number == GRAPH_INITIALIZER:
                    types.update([_type_of_initializer(message)])
                    continue
                name, operator, inputs, outputs = _node_from_message(message)
                if operator == "DequantizeLinear" and inputs[0] in types:
                    types[outputs[0]] = types[inputs[0]]
                elif operator in PRODUCTS:
                    products.append((name or f"node_of_{outputs[0]}", inputs))
    return {
        name: next(types[i] for i in inputs[:2] if i in types)
        for name, inputs in products
        if types.keys() & inputs[:2]
    }


def _type_of_initializer(message: memoryview) -> tuple[str, str]:
    name, kind = "", 0
    for number, value in _fields(message):
        if number == TENSOR_NAME and isinstance(value, memoryview):
            name = bytes(value).decode()
        elif number == TENSOR_TYPE and isinstance(value, int):
            kind = value
    return name, PRECISIONS.get(kind, "unknown")


def _node_from_message(message: memoryview) -> tuple[str, str, list[str], list[str]]:
    """Name, operator, inputs and outputs."""
    texts: dict[int, list[str]] = {NODE_INPUT: [], NODE_OUTPUT: [], NODE_NAME: [], NODE_OPERATOR: []}
    for number, value in _fields(message):
        if number in texts and isinstance(value, memoryview):
            texts[number].append(bytes(value).decode())
    return "".join(texts[NODE_NAME]), "".join(texts[NODE_OPERATOR]), texts[NODE_INPUT], texts[NODE_OUTPUT]


def _entry_from_message(message: memoryview) -> tuple[str, str]:
    texts = {
        number: bytes(value).decode() for number, value in _fields(message) if isinstance(value, memoryview)
    }
    return texts.get(ENTRY_KEY, ""), texts.get(ENTRY_VALUE, "")


def _weights_from_graph(graph: memoryview) -> Counter[int]:
    """Counts the weights of a graph by their ONNX data type."""
    weights: Counter[int] = Counter()
    for number, value in _fields(graph):
        if number == GRAPH_INITIALIZER and isinstance(value, memoryview):
            dims: list[int] = []
            kind = 0
            for part, content in _fields(value):
                if part == TENSOR_DIMS:
                    dims += _varints(content) if isinstance(content, memoryview) else [content]
                elif part == TENSOR_TYPE and isinstance(content, int):
                    kind = content
            weights[kind] += math.prod(dims)
    return weights


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
