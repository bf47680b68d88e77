"""OpenVINO on the CPU, in bfloat16 where the processor has it.

It should pay on Xeons with AMX, whose bfloat16 products ONNX Runtime's CPU kernels do not use. With
AVX512-BF16 alone, the detector and float32 networks are a little faster and int8 is not; without bfloat16
nothing is (docs/benchmarks.md). The same files run on both.
"""

import functools
import importlib
import os
import sys
import threading
from collections import Counter
from typing import Any

import numpy as np

from fer_edge.arrays import F32
from fer_edge.backends.cpu_sampling import SamplesOnCpu
from fer_edge.buffers import ThreadBuffer
from fer_edge.device.processor import has_bfloat16
from fer_edge.installation.repair_commands import install_extra
from fer_edge.models import ModelError, ModelFile
from fer_edge.running_calls import CLOSED

DEFAULT_THREADS = 1
# A network that meets another shape prepares itself anew, 0.3 ms for the detector, which sees each frame at
# two sizes. So a shape that comes back gets a network of its own, which takes 50 ms once; the results
# are the same to the last bit. Not for expressions, whose batch follows the faces.
RUNS_OF_A_SHAPE = 4
SHAPES_WITH_OWN_NETWORK = 4
# OpenVINO keeps what it prepared for each node and shape of its input, 5,000 entries by default: 470 MB after
# pictures of 300 sizes. These are enough for ten shapes of a detector.
CACHED_SHAPES = 512
FORKED = "OpenVINO cannot answer in a forked process; make a new Recognizer there"
# How the lines of its messages begin that name files of its source.
SOURCE_LINES = ("Exception from ", "Check '")

TELEMETRY = "openvino_telemetry"


def _without_telemetry() -> Any:
    """Imports OpenVINO, which would otherwise write an identifier of the user to ~/intel and send it.

    Its package of telemetry is optional for it, and is hidden during the import.
    """
    hidden = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        # importlib, because the type information of the package is incomplete: here the module becomes Any.
        module = importlib.import_module("openvino")
        if not hasattr(module, "Core"):
            raise ImportError(f"{next(iter(module.__path__))} is another folder of that name")
        return module
    except ImportError as error:
        raise ImportError(f"openvino cannot be imported ({error}); {install_extra('openvino')}") from error
    finally:
        if hidden is None:
            del sys.modules[TELEMETRY]
        else:
            sys.modules[TELEMETRY] = hidden


_ov = _without_telemetry()


@functools.cache
def _core() -> Any:
    """The engine of the process, which takes a tenth of a second to make."""
    return _ov.Core()


class OvBackend(SamplesOnCpu):
    """One compiled network, for a detector also one for each shape that comes back, and one input array and
    one request of each network per thread.
    """

    def __init__(self, model: ModelFile, threads: int | None) -> None:
        self._path = model.path
        self._threads = threads or DEFAULT_THREADS
        self._settings = {
            "INFERENCE_NUM_THREADS": self._threads,
            "INFERENCE_PRECISION_HINT": "bf16" if has_bfloat16() else "f32",
            "NUM_STREAMS": 1,
            # The application and other recognisers use the same cores.
            "ENABLE_CPU_PINNING": False,
            "CPU_RUNTIME_CACHE_CAPACITY": CACHED_SHAPES,
        }
        try:
            self._network: Any = _core().read_model(model.path.read_bytes())
            self._compiled: Any = self._compile(self._network)
        # OpenVINO has no other class of error.
        except RuntimeError as error:
            raise ModelError(f"openvino {version()} cannot load {model.path}: {_reason(error)}") from error
        inputs = self._compiled.inputs
        if len(inputs) != 1 or inputs[0].element_type != _ov.Type.f32:
            got = ", ".join(f"{i.any_name}: {i.element_type.to_string()}" for i in inputs)
            raise ModelError(f"{model.path} must have one input, f32, got {got}")
        self._has_shapes = model.spec.role == "detector"
        self._lock = threading.Lock()
        self._runs: Counter[tuple[int, ...]] = Counter()
        self._of_shape: dict[tuple[int, ...], Any] = {}
        self._input = ThreadBuffer(np.float32)
        self._local = threading.local()
        self._process = os.getpid()

    def reserve(self, shape: tuple[int, ...]) -> F32:
        return self._input.reserve(shape)

    def sampled(self) -> F32:
        self._open_network()
        return self._input.reserved()

    def run(self) -> list[F32]:
        general = self._open_network()
        filled = self._input.reserved()
        try:
            request = self._request(general, filled.shape)
            request.set_input_tensor(_ov.Tensor(filled, shared_memory=True))
            # Not request.infer(), which runs on the calling thread: in OpenVINO 2026.4 it crashed after other
            # networks had been released.
            request.start_async()
            request.wait()
        except RuntimeError as error:
            shape = list(filled.shape)
            raise ModelError(f"{self._path} cannot run on float32 {shape}: {_reason(error)}") from error
        # Copies, because the next run of this thread writes into the same memory.
        outputs: list[F32] = [np.array(tensor.data) for tensor in request.output_tensors]
        # A scalar has no rows.
        if any(output.shape[:1] != filled.shape[:1] for output in outputs):
            got = ", ".join(str(list(output.shape)) for output in outputs)
            raise ModelError(f"{self._path} must return {len(filled)} rows for as many inputs, got {got}")
        return outputs

    def _request(self, general: Any, shape: tuple[int, ...]) -> Any:
        """This thread's request of the network for a shape."""
        compiled = self._network_of(shape, general) if self._has_shapes else general
        requests: dict[Any, Any] = self._local.__dict__.setdefault("requests", {})
        if compiled not in requests:
            requests[compiled] = compiled.create_infer_request()
        return requests[compiled]

    def _network_of(self, shape: tuple[int, ...], general: Any) -> Any:
        """The network for a shape, which is made when the shape has come often enough."""
        if shape in self._of_shape or len(self._of_shape) >= SHAPES_WITH_OWN_NETWORK:
            return self._of_shape.get(shape, general)
        with self._lock:
            self._runs[shape] += 1
            is_due = self._runs[shape] >= RUNS_OF_A_SHAPE and shape not in self._of_shape
            if is_due and len(self._of_shape) < SHAPES_WITH_OWN_NETWORK:
                network = self._network.clone()
                network.reshape(list(shape))
                self._of_shape[shape] = self._compile(network)
            return self._of_shape.get(shape, general)

    def _compile(self, network: Any) -> Any:
        return _core().compile_model(network, "CPU", self._settings)

    def _open_network(self) -> Any:
        if (compiled := self._compiled) is None:
            raise RuntimeError(CLOSED)
        # The threads of the engine do not exist there, so that a request would never end.
        if os.getpid() != self._process:
            raise RuntimeError(FORKED)
        return compiled

    def close(self) -> None:
        self._compiled = self._network = None
        self._of_shape = {}
        self._local = threading.local()
        self._input.free()

    def info(self) -> dict[str, object]:
        hint = self._open_network().get_property("INFERENCE_PRECISION_HINT")
        return {
            "backend": "openvino",
            "version": version(),
            "provider": "CPU",
            "arithmetic": {"bf16": "bfloat16", "f32": "float32"}[hint.to_string()],
            "threads": self._threads,
        }


def version() -> str:
    """The version of OpenVINO without its build number."""
    text: str = _ov.__version__
    return text.split("-")[0]


def _reason(error: RuntimeError) -> str:
    """A message in one line, without the files of OpenVINO's source."""
    lines = (line.strip() for line in str(error).splitlines())
    return " ".join(line for line in lines if line and not line.startswith(SOURCE_LINES))
