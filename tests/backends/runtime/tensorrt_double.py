"""A double of the runtime half of both TensorRTs: their engines are ONNX files that ONNX Runtime runs.

So what comes out of the whole path equals the CPU's results, unless the path is wrong. A plan is a real
header, the profiles, and the ONNX file. The double refuses what NVIDIA's documentation forbids: shapes
outside the active profile, work without addresses, a context that changes after it was recorded.
"""

import json
import math
import struct
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from driver_double import Driver
from made_plans import ORIN, RTX_HEADER, tensorrt_header

from fer_edge.backends.engines.key import Key, Options, key_for
from fer_edge.backends.engines.plan_files import Plan, plan_name, write_plan
from fer_edge.backends.engines.products import target_for
from fer_edge.backends.engines.sidecar import Binding, Built, sidecar_for
from fer_edge.backends.ort import open_session
from fer_edge.models import ModelFile

VERSION, JETSON_VERSION = "1.7.1.116", "10.3.0.30"
# As long as the other.
JETSON_HEADER = tensorrt_header(10, 3, 0, 30).ljust(len(RTX_HEADER), b"\0")


def write_engine(folder: Path, model: ModelFile, options: Options = Options()) -> Plan:  # noqa: B008, frozen
    """Writes the plan of a model for desktop GPUs, as `fer-edge build` does."""
    key = key_for(model, target_for("rtx"), VERSION, None, options)
    return _write(folder, model, key, RTX_HEADER)


def write_engine_for_jetson(folder: Path, model: ModelFile) -> Plan:
    """Writes the plan of a model for ORIN."""
    key = key_for(model, target_for("this", "tensorrt"), JETSON_VERSION, ORIN, Options())
    return _write(folder, model, key, JETSON_HEADER)


def _write(folder: Path, model: ModelFile, key: Key, header: bytes) -> Plan:
    folder.mkdir(mode=0o700, exist_ok=True)
    onnx = model.path.read_bytes()
    profiles = json.dumps([[p.min, p.max] for p in key.profiles]).encode()
    plan = header + struct.pack("<I", len(profiles)) + profiles + onnx
    session = open_session(onnx)
    built = Built(
        inputs=tuple(_binding(value) for value in session.get_inputs()),
        outputs=tuple(_binding(value) for value in session.get_outputs()),
        precisions={"float32": 1},
        inspected=False,
        seconds=1.0,
    )
    return write_plan(folder, plan_name(model), plan, sidecar_for(plan, key, built))


def _binding(value: Any) -> Binding:
    shape = tuple(side if isinstance(side, int) else -1 for side in value.shape)
    return Binding(name=value.name, dtype="float32", shape=shape)


class TensorRT(ModuleType):
    """Stands in for the module tensorrt_rtx_bindings, or for tensorrt."""

    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")

    class ILogger:
        """Base class of loggers."""

        INTERNAL_ERROR, ERROR, WARNING, INFO = 0, 1, 2, 3

    def __init__(self, driver: Driver, name: str = "tensorrt_rtx_bindings", version: str = VERSION) -> None:
        super().__init__(name)
        self.__version__ = version
        self.__file__ = __file__
        self.__spec__ = ModuleSpec(name, None)
        self.driver = driver
        self.contexts: list[Context] = []
        self.compiled: list[str] = []
        self.refuses = False  # to run
        self.refuses_recording = False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replaces the bindings."""
        monkeypatch.setitem(sys.modules, self.__name__, self)

    def Runtime(self, logger: Any) -> "Runtime":  # noqa: N802, NVIDIA's name
        return Runtime(self, logger)


class Runtime:
    """IRuntime."""

    def __init__(self, module: TensorRT, logger: Any) -> None:
        self._module, self._logger = module, logger

    def deserialize_cuda_engine(self, plan: bytes) -> "Engine | None":
        assert self._module.driver.stack, "TensorRT would make a context of its own"
        kind = Engine if self._module.__name__ == "tensorrt" else RtxEngine
        return kind(self._module, self._logger, plan)


class Engine:
    """ICudaEngine, whose kernels were compiled when it was built."""

    def __init__(self, module: TensorRT, logger: Any, plan: bytes) -> None:
        self.module, self.logger = module, logger
        (length,) = struct.unpack_from("<I", plan, len(RTX_HEADER))
        start = len(RTX_HEADER) + 4
        self.profiles = json.loads(plan[start : start + length])
        self.session = open_session(plan[start + length :])

    def create_execution_context(self) -> "Context":
        self.module.driver.note("create_execution_context")
        return Context(self, None)


class RtxEngine(Engine):
    """ICudaEngine of TensorRT for RTX, which compiles kernels when it runs."""

    def create_runtime_config(self) -> "RuntimeConfig":
        return RuntimeConfig()

    def create_execution_context(self, config: "RuntimeConfig") -> "Context":  # type: ignore[override]
        assert config.cache is not None
        self.module.driver.note("create_execution_context")
        return Context(self, config)


class RuntimeConfig:
    """IRuntimeConfig."""

    dynamic_shapes_kernel_specialization_strategy = "lazy"
    cache: Any = None

    def create_runtime_cache(self) -> "RuntimeCache":
        return RuntimeCache()

    def set_runtime_cache(self, cache: "RuntimeCache") -> bool:
        self.cache = cache
        return True


class RuntimeCache:
    """IRuntimeCache: the shapes that were compiled."""

    def __init__(self) -> None:
        self.shapes: list[str] = []

    def serialize(self) -> bytes:
        return json.dumps(self.shapes).encode()

    def deserialize(self, blob: bytes) -> bool:
        self.shapes = json.loads(blob)
        return True


class Context:
    """IExecutionContext."""

    def __init__(self, engine: Engine, config: RuntimeConfig | None) -> None:
        self._engine, self._config = engine, config
        self._profile = 0
        self._addresses: dict[str, int] = {}
        self.input_shape: tuple[int, ...] = ()
        self.recorded = False
        engine.module.contexts.append(self)

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        assert stream_handle in self._engine.module.driver.streams
        self._profile = profile_index
        return profile_index < len(self._engine.profiles)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert not self.recorded, "a recorded context must not change"
        assert name == self._engine.session.get_inputs()[0].name
        smallest, largest = self._engine.profiles[self._profile]
        self.input_shape = tuple(shape)
        return all(a <= side <= b for a, side, b in zip(smallest, shape, largest, strict=True))

    def set_tensor_address(self, name: str, memory: int) -> bool:
        assert not self.recorded, "a recorded context must not change"
        assert memory % 256 == 0
        self._addresses[name] = memory
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        names = [output.name for output in self._engine.session.get_outputs()]
        return tuple(self._run(np.zeros(self.input_shape, np.float32))[names.index(name)].shape)

    def infer_shapes(self) -> list[str]:
        values = (*self._engine.session.get_inputs(), *self._engine.session.get_outputs())
        return [value.name for value in values if value.name not in self._addresses]

    def execute_async_v3(self, stream_handle: int) -> bool:
        module = self._engine.module
        if module.refuses or (module.refuses_recording and module.driver.streams[stream_handle].recorder):
            self._engine.logger.log(module.ILogger.ERROR, "the kernel was refused")
            return False
        driver, shape, addresses = module.driver, self.input_shape, dict(self._addresses)
        driver.note("execute_async_v3", recordable=True)
        stream = driver.streams[stream_handle]
        self.recorded = self.recorded or bool(stream.recorder)
        config = self._config
        if config is not None and str(shape) not in config.cache.shapes:
            config.cache.shapes.append(str(shape))
            module.compiled.append(f"{config.dynamic_shapes_kernel_specialization_strategy} {shape}")
        input_name, *names = addresses
        driver.require(addresses[input_name], 4 * math.prod(shape))

        def work() -> None:
            # NaN in rows that pad a batch must not matter, and there is none.
            outputs = self._run(driver.array(addresses[input_name], shape, np.float32).copy())
            for name, output in zip(names, outputs, strict=True):
                driver.array(addresses[name], output.shape, np.float32)[...] = output

        stream.put(work)
        return True

    def _run(self, array: Any) -> Any:
        session = self._engine.session
        return session.run(None, {session.get_inputs()[0].name: array})
