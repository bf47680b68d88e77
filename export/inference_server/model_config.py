"""The text of a config.pbtxt, a ModelConfig message of Triton Inference Server.

https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from string import Template

import onnx

# ONNX element type -> data type of Triton.
DATA_TYPES = {onnx.TensorProto.FLOAT: "TYPE_FP32", onnx.TensorProto.FLOAT16: "TYPE_FP16"}

_CONFIG = Template(
    """name: "$name"
backend: "$backend"
max_batch_size: $batch
$tensors
instance_group [
  {
    kind: KIND_CPU
    count: $instances
  }
]
dynamic_batching {
  max_queue_delay_microseconds: $delay
}
$parameters
"""
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output.

    Attributes:
        name: as in the network.
        data_type: of Triton, such as TYPE_FP32.
        dims: without the batch; -1 for any size.
        label_file: names of the values, for the classification extension; empty: none.
    """

    name: str
    data_type: str
    dims: tuple[int, ...]
    label_file: str = ""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """How Triton runs a model.

    Attributes:
        name: of the model and its folder.
        backend: "onnxruntime" or "python".
        inputs: of a request.
        outputs: of a request.
        max_batch_size: requests are joined up to this number of pictures or faces.
        instances: copies that run at the same time, on the CPU.
        max_queue_delay_us: microseconds that a request waits for others at most.
        parameters: of the backend, all texts.
    """

    name: str
    backend: str
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    max_batch_size: int
    instances: int
    max_queue_delay_us: int = 500
    parameters: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Returns the content of config.pbtxt."""
        tensors = [_tensors("input", self.inputs), _tensors("output", self.outputs)]
        return _CONFIG.substitute(
            name=self.name,
            backend=self.backend,
            batch=self.max_batch_size,
            tensors="\n".join(tensors),
            instances=self.instances,
            delay=self.max_queue_delay_us,
            parameters="\n".join(map(_parameter, self.parameters.items())),
        )


def tensors_of_network(proto: onnx.ModelProto) -> tuple[list[Tensor], list[Tensor]]:
    """Returns the inputs and outputs of a network; raises ValueError if its batch or a type does not fit."""
    return list(map(_tensor, proto.graph.input)), list(map(_tensor, proto.graph.output))


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    batch, *dims = kind.shape.dim
    if batch.HasField("dim_value"):
        raise ValueError(
            f"{value.name} must have a batch of any size, got {batch.dim_value}; export it again"
        )
    if kind.elem_type not in DATA_TYPES:
        names = ", ".join(map(onnx.TensorProto.DataType.Name, DATA_TYPES))
        raise ValueError(
            f"{value.name} must be {names}, got {onnx.TensorProto.DataType.Name(kind.elem_type)}"
        )
    sizes = tuple(size.dim_value if size.HasField("dim_value") else -1 for size in dims)
    return Tensor(value.name, DATA_TYPES[kind.elem_type], sizes)


def _tensors(kind: str, tensors: Sequence[Tensor]) -> str:
    return f"{kind} [\n" + ",\n".join(map(_tensor_text, tensors)) + "\n]"


def _tensor_text(tensor: Tensor) -> str:
    dims = ", ".join(map(str, tensor.dims))
    lines = [f'name: "{tensor.name}"', f"data_type: {tensor.data_type}", f"dims: [ {dims} ]"]
    if tensor.label_file:
        lines.append(f'label_filename: "{tensor.label_file}"')
    return "  {\n" + "".join(f"    {line}\n" for line in lines) + "  }"


def _parameter(item: tuple[str, str]) -> str:
    key, value = item
    return f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}'
