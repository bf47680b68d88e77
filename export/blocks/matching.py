"""Finds a pattern, a function in ONNX's text form, in a graph.

The pattern's inputs stand for any tensor. A node of the graph fits a node of the pattern when both have the
same operator and the attributes that the pattern states, and their inputs fit in order.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


@dataclass(frozen=True, slots=True)
class NodeParts:
    """Weights (name of the input -> float32 array, in order) and attributes of a custom node."""

    inputs: dict[str, NDArray[np.float32]]
    attributes: dict[str, int | float]


@dataclass(slots=True)
class Match:
    """One place where a pattern fits.

    ``tensors`` maps each name in the pattern to the tensor of the graph; ``nodes`` maps the name of a node's
    first output to the graph's node; ``constants`` are the graph's initializers.
    """

    tensors: dict[str, str]
    constants: dict[str, onnx.TensorProto]
    nodes: dict[str, onnx.NodeProto] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The values of those of the pattern's inputs that are initializers of the graph."""
        return {
            name: numpy_helper.to_array(self.constants[tensor])
            for name, tensor in self.tensors.items()
            if tensor in self.constants
        }


def find(graph: onnx.GraphProto, pattern: onnx.FunctionProto) -> list[Match]:
    """All places where the pattern fits and none of its inner tensors is read from outside."""
    constants = {w.name: w for w in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    wanted = {name: node for node in pattern.node for name in node.output}
    found = []
    for name in made_by:
        match = Match({}, constants)
        if _fits(pattern.output[0], name, match, wanted, made_by) and not _leaks(graph, match, pattern):
            found.append(match)
    return found


def _fits(
    name: str,
    tensor: str,
    match: Match,
    wanted: dict[str, onnx.NodeProto],
    made_by: dict[str, onnx.NodeProto],
) -> bool:
    """Whether a tensor of the graph fits a name of the pattern; notes the correspondence in ``match``."""
    if name in match.tensors:
        return match.tensors[name] == tensor
    match.tensors[name] = tensor
    if name not in wanted:
        return True
    ours, theirs = wanted[name], made_by.get(tensor)
    if theirs is None or ours.op_type != theirs.op_type or len(ours.input) != len(theirs.input):
        return False
    if list(ours.output).index(name) != list(theirs.output).index(tensor):
        return False
    stated = {a.name: helper.get_attribute_value(a) for a in ours.attribute}
    given = {a.name: helper.get_attribute_value(a) for a in theirs.attribute}
    if any(given.get(key) != value for key, value in stated.items()):
        return False
    match.nodes[ours.output[0]] = theirs
    return all(_fits(a, b, match, wanted, made_by) for a, b in zip(ours.input, theirs.input, strict=True))


def _leaks(graph: onnx.GraphProto, match: Match, pattern: onnx.FunctionProto) -> bool:
    outside = {match.tensors[name] for name in (*pattern.input, *pattern.output)}
    inner = {name for node in match.nodes.values() for name in node.output} - outside
    members = {node.output[0] for node in match.nodes.values()}
    read = {name for node in graph.node if node.output[0] not in members for name in node.input}
    return bool(inner & (read | {value.name for value in graph.output}))
