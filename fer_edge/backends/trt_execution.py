"""An engine in the memory of the GPU, and its executions: a context, its buffers, perhaps a CUDA graph."""

import logging
import math
from typing import Any

import numpy as np

from fer_edge.arrays import F32, U8
from fer_edge.backends.cuda.device import DeviceError
from fer_edge.backends.cuda.graph import Graph
from fer_edge.backends.cuda.session import Session
from fer_edge.backends.engines import plan_files
from fer_edge.backends.engines.gpu import Gpu
from fer_edge.backends.engines.native import check, make_runtime, reasons_of
from fer_edge.backends.engines.plan_files import Plan
from fer_edge.backends.engines.plugins.registration import register_for_runs
from fer_edge.backends.engines.surface import Bindings, CudaEngine, ExecutionContext, RuntimeCache
from fer_edge.models import ModelError

# Outputs begin at multiples of this number of bytes.
ALIGNMENT = 256
_logger = logging.getLogger("fer_edge")
Shape = tuple[int, ...]
Layout = tuple[tuple[int, Shape], ...]  # of each output: offset in bytes, shape


def arrays_from_bytes(data: U8, layout: Layout, count: int) -> list[F32]:
    """Copies of the first `count` rows of each output."""
    return [
        data[offset : offset + 4 * math.prod(sides)].view(np.float32).reshape(sides)[:count].copy()
        for offset, sides in layout
    ]


class Engine:
    """A plan that TensorRT has loaded. The context of the session is current in all calls.

    Args:
        session: the GPU.
        bindings: of the plan's product.
        plan: verified.
        gpu: this machine's, for the kernels that are kept beside the plan.

    Raises:
        ModelError: TensorRT cannot load the plan, or it has inputs or outputs of other types.
    """

    def __init__(self, session: Session, bindings: Bindings, plan: Plan, gpu: Gpu | None) -> None:
        built = plan.sidecar.built
        for binding in (*built.inputs, *built.outputs):
            if binding.dtype != "float32" or len(built.inputs) != 1:
                raise ModelError(
                    f"{plan.path} must have one input and outputs of float32, got {built.inputs}, ..."
                )
        self.session = session
        self.bindings = bindings
        self.plan = plan
        self.input = built.inputs[0].name
        self.outputs = tuple(output.name for output in built.outputs)
        self._gpu = gpu
        if plan.sidecar.key.options.plugins:
            register_for_runs(bindings)
        self._runtime = make_runtime(bindings)
        loaded = self._runtime.deserialize_cuda_engine(plan.data)
        self._engine: CudaEngine = check(bindings, loaded, f"{plan.path} cannot be loaded")
        self._kernels: RuntimeCache | None = None
        self._kept = b""

    def context(self, *, eager: bool) -> ExecutionContext:
        """Returns a new context. ``eager``: kernels are compiled for its shapes before they run."""
        context = self._engine.create_execution_context(*self._runtime_configs(eager))
        if context is None:
            raise DeviceError(f"the GPU failed: no context for {self.plan.path}: {reasons_of(self.bindings)}")
        return context

    def keep_kernels(self) -> None:
        """Writes the kernels that were compiled beside the plan, for the next start."""
        if self._kernels is None:
            return
        kernels = bytes(memoryview(self._kernels.serialize()))
        if not kernels or kernels == self._kept:
            return
        self._kept = kernels
        try:
            plan_files.write_kernels(self.plan, self._gpu, kernels)
        except ModelError as error:
            _logger.info("the next start compiles the kernels of %s again: %s", self.plan.path, error)

    def close(self) -> None:
        """Frees the engine; its executions are closed."""
        try:
            self.keep_kernels()
        finally:
            del self._engine, self._runtime
            self._kernels = None

    def _runtime_configs(self, eager: bool) -> tuple[Any, ...]:
        """TensorRT for RTX compiles kernels when an engine runs; TensorRT did so when it was built."""
        if self.plan.sidecar.key.product != "tensorrt-rtx":
            return ()
        config = self._engine.create_runtime_config()
        if self._kernels is None:
            self._kernels = config.create_runtime_cache()
            self._kept = plan_files.read_kernels(self.plan, self._gpu)
            if self._kept and not self._kernels.deserialize(self._kept):
                self._kept = b""
        check(self.bindings, config.set_runtime_cache(self._kernels), "the cache of kernels is not taken")
        if eager:
            # A graph would keep the slow kernels that run until the fast ones are compiled.
            strategies = self.bindings.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        return (config,)


class Execution:
    """A context with its buffers. The context of the session is current in all calls.

    Raises:
        DeviceError: TensorRT or CUDA refuses something.
    """

    def __init__(self, engine: Engine, profile: int, *, eager: bool = False) -> None:
        self._engine = engine
        self._session = engine.session
        self._context: ExecutionContext = engine.context(eager=eager)
        self._buffers: dict[str, tuple[int, int]] = {}  # input, outputs -> address, size
        self._graph: Graph | None = None
        self.shape: Shape = ()
        self.layout: Layout = ()
        self.output_size = 0
        if profile:
            stream = self._session.stream
            self._require(
                self._context.set_optimization_profile_async(profile, stream.handle), "profile", profile
            )
            stream.synchronize()

    @property
    def input_address(self) -> int:
        """Where the input of `shape` is expected."""
        return self._buffers["input"][0]

    @property
    def output_address(self) -> int:
        """Where the outputs begin."""
        return self._buffers["outputs"][0]

    @property
    def captured(self) -> bool:
        """Whether the work is a graph."""
        return self._graph is not None

    def bind(self, shape: Shape) -> None:
        """Prepares for an input of this shape; the stream may be waited for."""
        if shape == self.shape:
            return
        engine, context = self._engine, self._context
        self._require(context.set_input_shape(engine.input, shape), "input", shape)
        self._reserve("input", 4 * math.prod(shape))
        self._require(context.set_tensor_address(engine.input, self.input_address), "address", engine.input)
        offset, layout = 0, []
        for name in engine.outputs:
            sides = tuple(context.get_tensor_shape(name))
            layout.append((offset, sides))
            offset += -(-4 * math.prod(sides) // ALIGNMENT) * ALIGNMENT
        self._reserve("outputs", offset)
        for name, (start, _) in zip(engine.outputs, layout, strict=True):
            self._require(context.set_tensor_address(name, self.output_address + start), "address", name)
        if missing := context.infer_shapes():
            raise DeviceError(f"TensorRT knows no shape or address of {', '.join(missing)} for input {shape}")
        self.shape, self.layout, self.output_size = shape, tuple(layout), offset

    def capture(self) -> None:
        """Records the work for `shape` as a graph; nothing else may use the stream meanwhile.

        According to NVIDIA, a context must not change after that, so it has this one shape for ever.
        """
        self._enqueue()
        self._session.stream.synchronize()
        try:
            self._graph = Graph(self._session.stream, self._enqueue)
        except DeviceError as error:
            _logger.warning(
                "%s runs on %s without a CUDA graph, slower: %s", self._engine.plan.path, self.shape, error
            )

    def launch(self) -> None:
        """Puts the work on the stream."""
        if self._graph is None:
            self._enqueue()
        else:
            self._graph.launch(self._session.stream)

    def close(self) -> None:
        """Frees graph, context and buffers; the stream is idle."""
        try:
            if self._graph is not None:
                self._graph.close()
        finally:
            self._graph = None
            del self._context
            for address, _ in self._buffers.values():
                self._session.device.free(address)
            self._buffers.clear()

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._session.stream.handle):
            reasons = reasons_of(self._engine.bindings) or "TensorRT gives no reason"
            raise DeviceError(f"the GPU failed: {self._engine.plan.path} cannot be run: {reasons}")

    def _reserve(self, name: str, size: int) -> None:
        address, known = self._buffers.get(name, (0, 0))
        if size <= known:
            return
        stream, device = self._session.stream, self._session.device
        stream.synchronize()
        if known:
            del self._buffers[name]
            device.free(address)
        address = device.allocate(size)
        self._buffers[name] = address, size
        # Rows that pad a batch are zeros, or crops of earlier frames: never NaN by chance.
        stream.fill(address, size)

    def _require(self, result: bool, what: str, value: object) -> None:
        if not result:
            reasons = reasons_of(self._engine.bindings) or "TensorRT gives no reason"
            raise DeviceError(f"TensorRT refuses {what} {value} of {self._engine.plan.path}: {reasons}")
