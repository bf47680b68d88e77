"""Types, shapes and neighbours of a graph's tensors."""

from dataclasses import dataclass

import onnx
from onnx import TensorProto

Shape = tuple[int | None, ...]
# Channels up to which a map is a summary of the channels (DCIF's mean and maximum), not a map of features.
SUMMARY_CHANNELS = 2


@dataclass(frozen=True, slots=True)
class Tensors:
    """``types`` and ``shapes`` by name (None: a size that is not fixed), and who makes and reads each."""

    types: dict[str, int]
    shapes: dict[str, Shape]
    weights: dict[str, TensorProto]
    made_by: dict[str, onnx.NodeProto]
    read_by: dict[str, list[onnx.NodeProto]]

    def is_summary(self, name: str) -> bool:
        """Whether a tensor is a vector for each picture, [N, C] or [N, C, 1, 1], or a map of one or two
        channels. Gates and the classifier compute with these; it is a thousandth of all arithmetic.
        """
        shape = self.shapes.get(name, ())
        return len(shape) == 2 or (
            len(shape) == 4
            and (shape[2:] == (1, 1) or (shape[1] is not None and shape[1] <= SUMMARY_CHANNELS))
        )


def tensors_of(proto: onnx.ModelProto) -> Tensors:
    """Infers types and shapes; raises ValueError if the type of a tensor stays unknown."""
    graph = onnx.shape_inference.infer_shapes(proto, strict_mode=True).graph
    types, shapes = {}, {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        types[value.name] = kind.elem_type
        shapes[value.name] = tuple(d.dim_value or None for d in kind.shape.dim)
    weights = {w.name: w for w in proto.graph.initializer}
    types |= {name: w.data_type for name, w in weights.items()}
    shapes |= {name: tuple(w.dims) for name, w in weights.items()}
    made_by, read_by = {}, {}
    for node in proto.graph.node:
        made_by |= dict.fromkeys(node.output, node)
        for name in filter(None, node.input):
            read_by.setdefault(name, []).append(node)
    if unknown := [name for name in made_by if name and not types.get(name)]:
        raise ValueError(f"the type of tensor {unknown[0]!r} cannot be inferred; export the file again")
    return Tensors(types, shapes, weights, made_by, read_by)
