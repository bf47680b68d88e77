"""The part of TensorRT's Python API that this room uses, as types.

mypy checks each call of the room against these protocols. tests/engines/contract checks each member against
the real bindings of TensorRT 10.3 to 11.4 and of TensorRT for RTX. So what is called exists in each of them.
What only one product has is listed there, in tensorrt_classes.py.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Member(Protocol):
    """A member of an enumeration."""

    name: str

    def __int__(self) -> int: ...


class NetworkFlags(Protocol):
    STRONGLY_TYPED: Member


class BuilderFlags(Protocol):
    TF32: Member
    GPU_FALLBACK: Member


class MemoryPools(Protocol):
    WORKSPACE: Member


class Verbosities(Protocol):
    DETAILED: Member


class DeviceTypes(Protocol):
    DLA: Member


class LayerTypes(Protocol):
    CONVOLUTION: Member
    DECONVOLUTION: Member
    MATRIX_MULTIPLY: Member
    DEQUANTIZE: Member
    SHUFFLE: Member


class FieldTypes(Protocol):
    INT32: Member
    FLOAT32: Member


class DimensionOperations(Protocol):
    FLOOR_DIV: Member


class TensorFormats(Protocol):
    LINEAR: Member


class PluginRegistry(Protocol):
    def register_creator(self, creator: Any, namespace: str) -> bool: ...


class InformationFormats(Protocol):
    JSON: Member


class Severities(Protocol):
    ERROR: Member
    INTERNAL_ERROR: Member


class ComputeCapabilities(Protocol):
    """TensorRT for RTX only."""

    SM75: Member
    CURRENT: Member


class Tensor(Protocol):
    name: str
    dtype: Member
    shape: Sequence[int]


class Layer(Protocol):
    name: str
    metadata: str
    type: Member
    num_inputs: int
    num_outputs: int

    def get_input(self, index: int) -> Tensor | None: ...
    def get_output(self, index: int) -> Tensor: ...


class Network(Protocol):
    num_inputs: int
    num_outputs: int
    num_layers: int

    def get_input(self, index: int) -> Tensor: ...
    def get_output(self, index: int) -> Tensor: ...
    def get_layer(self, index: int) -> Layer: ...


class ParserError(Protocol):
    def desc(self) -> str: ...


class Parser(Protocol):
    num_errors: int

    def parse(self, model: bytes) -> bool: ...
    def get_error(self, index: int) -> ParserError: ...


class ShapeProfile(Protocol):
    def set_shape(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None: ...


class HostMemory(Protocol):
    """Supports the buffer protocol: `memoryview(memory)`."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


class TimingCache(Protocol):
    def serialize(self) -> HostMemory: ...


class BuilderConfig(Protocol):
    """`num_compute_capabilities` and `set_compute_capability`: TensorRT for RTX only."""

    profiling_verbosity: Member
    progress_monitor: object
    default_device_type: Member
    DLA_core: int
    num_compute_capabilities: int

    def set_flag(self, flag: Member) -> None: ...
    def clear_flag(self, flag: Member) -> None: ...
    def set_memory_pool_limit(self, pool: Member, pool_size: int) -> None: ...
    def add_optimization_profile(self, profile: ShapeProfile) -> int: ...
    def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache | None: ...
    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool: ...
    def get_timing_cache(self) -> TimingCache | None: ...
    def set_compute_capability(self, compute_capability: Member, index: int) -> bool: ...


class EngineBuilder(Protocol):
    num_DLA_cores: int  # noqa: N815, the name in the API

    def create_network(self, flags: int) -> Network: ...
    def create_builder_config(self) -> BuilderConfig: ...
    def create_optimization_profile(self) -> ShapeProfile: ...
    def build_serialized_network(self, network: Network, config: BuilderConfig) -> HostMemory | None: ...


class Inspector(Protocol):
    def get_engine_information(self, format: Member) -> str: ...


class SpecializationStrategies(Protocol):
    """TensorRT for RTX only."""

    EAGER: Member


class RuntimeCache(Protocol):
    """TensorRT for RTX only."""

    def serialize(self) -> HostMemory: ...
    def deserialize(self, blob: bytes) -> bool: ...


class RuntimeConfig(Protocol):
    """TensorRT for RTX only: TensorRT before 10.13 has none."""

    dynamic_shapes_kernel_specialization_strategy: Member

    def create_runtime_cache(self) -> RuntimeCache: ...
    def set_runtime_cache(self, cache: RuntimeCache) -> bool: ...


class ExecutionContext(Protocol):
    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool: ...
    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool: ...
    def set_tensor_address(self, name: str, memory: int) -> bool: ...
    def get_tensor_shape(self, name: str) -> Sequence[int]: ...
    def infer_shapes(self) -> list[str]: ...
    def execute_async_v3(self, stream_handle: int) -> bool: ...


class CudaEngine(Protocol):
    """`create_runtime_config`: TensorRT for RTX only."""

    def create_engine_inspector(self) -> Inspector: ...
    def create_execution_context(self, *runtime_config: RuntimeConfig) -> ExecutionContext | None: ...
    def create_runtime_config(self) -> RuntimeConfig: ...


class EngineRuntime(Protocol):
    def deserialize_cuda_engine(self, serialized_engine: bytes) -> CudaEngine | None: ...


class Bindings(Protocol):
    """The module `tensorrt`, `tensorrt_rtx` or `tensorrt_rtx_bindings`."""

    __name__: str
    __version__: str
    # Base classes of Python classes, so they are Any.
    ILogger: Any
    IProgressMonitor: Any
    IPluginV3: Any
    IPluginV3OneCore: Any
    IPluginV3OneBuild: Any
    IPluginV3OneRuntime: Any
    IPluginCreatorV3One: Any
    # What plugins get and give: values of these classes, which no other part sees.
    PluginField: Any
    PluginFieldCollection: Any
    PluginFieldType: FieldTypes
    DimsExprs: Any
    DimensionOperation: DimensionOperations
    TensorFormat: TensorFormats
    get_plugin_registry: Callable[[], PluginRegistry]
    Builder: Callable[[object], EngineBuilder]
    Runtime: Callable[[object], EngineRuntime]
    OnnxParser: Callable[[Network, object], Parser]
    NetworkDefinitionCreationFlag: NetworkFlags
    BuilderFlag: BuilderFlags
    MemoryPoolType: MemoryPools
    ProfilingVerbosity: Verbosities
    DeviceType: DeviceTypes
    LayerType: LayerTypes
    LayerInformationFormat: InformationFormats
    ComputeCapability: ComputeCapabilities
    DynamicShapesKernelSpecializationStrategy: SpecializationStrategies


# Data types by their names in the API.
PRECISIONS = {"FLOAT": "float32", "HALF": "float16", "BF16": "bfloat16", "INT8": "int8", "INT32": "int32"}
