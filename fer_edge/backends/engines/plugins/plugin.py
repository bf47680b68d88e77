"""A block as an IPluginV3 of TensorRT's Python API, which is the same in 10.3 to 11 and in TensorRT for RTX.

An exception in a method that the builder calls ends the process. So a map that the kernels do not take is
refused by `supports_format_combination`, and the builder says that it has no implementation.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_edge.backends.cuda.kernels import compiled_kernels
from fer_edge.backends.engines.plugins.blocks import Block, Numbers
from fer_edge.backends.engines.surface import Bindings

NAMESPACE, VERSION = "fer_edge", "1"
# Parts of the scratch memory begin at multiples of this number of bytes.
ALIGNMENT = 256
# Types of a map by their names in the API: name for the kernels, bytes.
TYPES = {"FLOAT": ("float32", 4), "HALF": ("float16", 2)}


class PluginMethods:
    """What TensorRT calls. One object is the three interfaces of a plugin: core, builder's and runtime's.

    Args:
        attributes: of the node.
    """

    bindings: Bindings
    block: Block
    interfaces: tuple[Any, ...]

    def __init__(self, attributes: Numbers) -> None:
        for interface in self.interfaces:
            interface.__init__(self)
        self.plugin_name, self.plugin_namespace, self.plugin_version = self.block.name, NAMESPACE, VERSION
        self.num_outputs = 1
        self._attributes = attributes
        # TensorRT reads this memory later, when it writes the plan.
        self._values = {key: np.array([attributes[key]], kind) for key, kind in self.block.attributes.items()}

    def get_capability_interface(self, kind: Any) -> Any:
        return self

    def clone(self) -> Any:
        return type(self)(self._attributes)

    def get_fields_to_serialize(self) -> Any:
        return fields(self.bindings, self.block, self._values)

    def get_output_data_types(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0]]

    def get_output_shapes(self, inputs: Sequence[Any], shape_inputs: Sequence[Any], make: Any) -> list[Any]:
        given, block = inputs[0], self.block
        result = self.bindings.DimsExprs(2 if block.pools else 4)
        for axis in range(len(result)):
            result[axis] = given[axis]
        if block.parts > 1:
            divide = self.bindings.DimensionOperation.FLOOR_DIV
            result[1] = make.operation(divide, given[1], make.constant(block.parts))
        return [result]

    def supports_format_combination(self, index: int, tensors: Sequence[Any], inputs: int) -> bool:
        tensor, given = tensors[index].desc, tensors[0].desc
        return (
            inputs == self.block.inputs
            and tensor.format == self.bindings.TensorFormat.LINEAR
            and tensor.type == given.type
            and given.type.name in TYPES
            and self.block.takes(tuple(given.dims))
        )

    def configure_plugin(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Nothing depends on the profile."""

    def on_shape_change(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """`enqueue` is told the shapes."""

    def get_workspace_size(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
        largest = tuple(inputs[0].max)
        return sum(map(_aligned, self.block.scratch(largest, TYPES[inputs[0].desc.type.name][1])))

    def attach_to_context(self, context: Any) -> Any:
        return self.clone()

    def enqueue(
        self,
        given: Sequence[Any],
        results: Sequence[Any],
        inputs: Sequence[int],
        outputs: Sequence[int],
        workspace: int,
        stream: int,
    ) -> None:
        """Launches the kernels on addresses of the GPU; raises what `fer_edge._cuda` raises."""
        shapes = [tuple(tensor.dims) for tensor in given]
        name, size = TYPES[given[0].type.name]
        scratch = []
        for part in self.block.scratch(shapes[0], size):
            scratch.append(workspace)
            workspace += _aligned(part)
        launch = getattr(compiled_kernels(), self.block.operation)
        numbers = self.block.numbers(shapes, self._attributes)
        launch(inputs[0], shapes[0], name, False, inputs[1:], *numbers, *scratch, outputs[0], stream)


def plugin_class(bindings: Bindings, block: Block) -> Any:
    """Returns the class of a block's plugins."""
    interfaces = (
        bindings.IPluginV3,
        bindings.IPluginV3OneCore,
        bindings.IPluginV3OneBuild,
        bindings.IPluginV3OneRuntime,
    )
    members = {"bindings": bindings, "block": block, "interfaces": interfaces}
    return type(block.name, (PluginMethods, *interfaces), members)


def fields(bindings: Bindings, block: Block, values: dict[str, Any]) -> Any:
    """Returns the attributes of a block as TensorRT's fields; b"" for a value that is not known yet."""
    kinds: dict[Any, Any] = {
        np.int32: bindings.PluginFieldType.INT32,
        np.float32: bindings.PluginFieldType.FLOAT32,
    }
    return bindings.PluginFieldCollection(
        [
            bindings.PluginField(name, values.get(name, b""), kinds[dtype])
            for name, dtype in block.attributes.items()
        ]
    )


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
