"""ONNX Runtime on the CPU."""

import importlib
import os
import weakref
from typing import Any

import numpy as np

from fer_edge.arrays import F32
from fer_edge.backends.cpu_sampling import SamplesOnCpu
from fer_edge.buffers import ThreadBuffer
from fer_edge.installation import libraries
from fer_edge.models import ModelError, ModelFile
from fer_edge.running_calls import CLOSED

PROVIDER = "CPUExecutionProvider"
# Two threads are slower than one for up to four faces (python -m benchmarks.latency), and one thread leaves
# the other cores free.
DEFAULT_THREADS = 1

_ort: Any = libraries.load("onnxruntime")
# importlib, because the wheels have no type information: here the module becomes Any.
_state: Any = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")

# The engine's errors have no common base class but Exception. These are the ones that a model file can cause.
_ERRORS: tuple[type[Exception], ...] = (
    _state.Fail,
    _state.InvalidArgument,
    _state.InvalidGraph,
    _state.InvalidProtobuf,
    _state.NoSuchFile,
    _state.NotImplemented,
    _state.RuntimeException,
    # The message of an error quotes a name of the graph, and the name is not text.
    UnicodeDecodeError,
)


# All backends, and in the child of a fork the sessions of the parent. To free one there would wait for ever
# for the threads of its engine, which a fork does not copy.
_backends: "weakref.WeakSet[OrtBackend]" = weakref.WeakSet()
_sessions_of_parent: list[Any] = []


def _keep_sessions_of_parent() -> None:
    _sessions_of_parent.extend(backend._session for backend in _backends)


os.register_at_fork(after_in_child=_keep_sessions_of_parent)


def session_options(threads: int) -> Any:
    """Returns the options of every session, in the runtime, in export and in evaluation."""
    options = _ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = _ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    # 4: fatal messages only. Errors are raised as exceptions, and users cannot act on the engine's warnings.
    options.log_severity_level = 4
    # Waiting threads must not spin: the application needs the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The engine keeps one memory pattern per input shape, so memory would grow with pictures of many sizes.
    options.enable_mem_pattern = False
    return options


class _Session(_ort.InferenceSession):  # type: ignore[misc]
    """A session without the engine's fallback, which prints on stdout and tries the same provider again.

    Releases up to 1.22 have no argument that turns it off for the constructor.
    """

    _enable_fallback = property(lambda _: False, lambda _, value: None)


def open_session(file: bytes, threads: int = DEFAULT_THREADS, options: Any = None) -> Any:
    """Returns a session on the CPU for the bytes of an ONNX file; ``options`` replace `session_options`."""
    return _Session(file, options or session_options(threads), providers=[PROVIDER])


class OrtBackend(SamplesOnCpu):
    """One session, which any thread may run, and one input array per thread."""

    def __init__(self, model: ModelFile, threads: int | None) -> None:
        self._threads = threads or DEFAULT_THREADS
        self._path = model.path
        try:
            self._session: Any = open_session(model.path.read_bytes(), self._threads)
        except _ERRORS as error:
            reason = str(error) or "it gives no reason"
            raise ModelError(f"onnxruntime {_ort.__version__} cannot load {model.path}: {reason}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            got = ", ".join(f"{i.name}: {i.type}" for i in inputs)
            raise ModelError(f"{model.path} must have one input, tensor(float), got {got}")
        outputs = self._session.get_outputs()
        if not all(output.type.startswith("tensor(") for output in outputs):
            got = ", ".join(f"{output.name}: {output.type}" for output in outputs)
            raise ModelError(f"{model.path} must return tensors, got {got}")
        if (providers := self._session.get_providers()) != [PROVIDER]:
            raise RuntimeError(f"onnxruntime was asked for {PROVIDER}, but runs on {', '.join(providers)}")
        self._input_name: str = inputs[0].name
        self._input = ThreadBuffer(np.float32)
        _backends.add(self)

    def reserve(self, shape: tuple[int, ...]) -> F32:
        return self._input.reserve(shape)

    def sampled(self) -> F32:
        self._open_session()
        return self._input.reserved()

    def run(self) -> list[F32]:
        session = self._open_session()
        filled = self._input.reserved()
        try:
            outputs: list[F32] = session.run(None, {self._input_name: filled})
        except _ERRORS as error:
            raise ModelError(f"{self._path} cannot run on float32 {list(filled.shape)}: {error}") from error
        # A scalar has no rows.
        if any(output.shape[:1] != filled.shape[:1] for output in outputs):
            got = ", ".join(str(list(output.shape)) for output in outputs)
            raise ModelError(f"{self._path} must return {len(filled)} rows for as many inputs, got {got}")
        return outputs

    def _open_session(self) -> Any:
        if (session := self._session) is None:
            raise RuntimeError(CLOSED)
        return session

    def close(self) -> None:
        self._session = None
        self._input.free()

    def info(self) -> dict[str, object]:
        return {
            "backend": "onnxruntime",
            "version": _ort.__version__,
            "provider": PROVIDER,
            "threads": self._threads,
        }
