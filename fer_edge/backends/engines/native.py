"""TensorRT's objects and their failures as Python exceptions.

The library reports a failure as None, False or a TypeError of pybind11, and writes the reason to its logger.
So the logger keeps the reasons, and `check` puts them into one ModelError.
"""

import ctypes
import logging
import re
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from fer_edge.backends.engines.surface import Bindings, EngineBuilder, EngineRuntime
from fer_edge.models import ModelError

Object = TypeVar("Object")
_KEPT_REASONS = 20
_SHOWN = 2
# The library looks for a GPU wherever it could use one; that there is none is said once, where it matters.
_NO_GPU = re.compile(r"cudaError (35|100)\b|CUDA initialization failure")
_logger = logging.getLogger("fer_edge.tensorrt")
_loggers: dict[str, Any] = {}  # name of the bindings -> their logger


def logger_of(bindings: Bindings) -> Any:
    """The logger of a product. One for the process: the library keeps the first that it is given."""
    name = bindings.ILogger.__module__
    if name not in _loggers:
        _loggers[name] = _make_logger(bindings)
    return _loggers[name]


def _make_logger(bindings: Bindings) -> Any:
    base: Any = bindings.ILogger
    errors = (int(bindings.ILogger.INTERNAL_ERROR), int(bindings.ILogger.ERROR))

    class NativeLogger(base):  # type: ignore[misc]
        """Keeps the messages that say why something failed; passes all on to logging, for debugging."""

        def __init__(self) -> None:
            base.__init__(self)
            self.reasons: deque[str] = deque(maxlen=_KEPT_REASONS)

        def log(self, severity: Any, text: str) -> None:
            if int(severity) in errors:
                self.reasons.append(text)
            _logger.debug("%s", text)

    return NativeLogger()


def make_builder(bindings: Bindings) -> EngineBuilder:
    """Returns a builder; raises ModelError if the product needs a GPU for it and finds none."""
    return _make(bindings, bindings.Builder, "builder")


def make_runtime(bindings: Bindings) -> EngineRuntime:
    """Returns a runtime; raises ModelError if the product finds no GPU."""
    reasons_of(bindings)
    runtime = _make(bindings, bindings.Runtime, "runtime")
    if reasons := reasons_of(bindings):
        # TensorRT 11 returns a runtime even where CUDA cannot start. Using it ends the process, and so does
        # freeing it: it is never freed.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(runtime))
        raise ModelError(f"TensorRT {bindings.__version__} cannot start: {reasons}")
    return runtime


def check(bindings: Bindings, result: Object | None, what: str) -> Object:
    """Returns the result; raises ModelError with the library's reasons if it is None or False."""
    if result is None or result is False:
        raise ModelError(f"{what}: {reasons_of(bindings) or 'the library gives no reason'}")
    return result


def reasons_of(bindings: Bindings) -> str:
    """Why the last calls failed, as the library says; empty if it said nothing. Forgets what it returns."""
    kept = logger_of(bindings).reasons
    texts = list(dict.fromkeys(kept))
    kept.clear()
    own = [text for text in texts if not _NO_GPU.search(text)]
    if not own and texts:
        return "there is no GPU, or its driver is older than the library"
    return "; ".join(own[:_SHOWN])


def _make(bindings: Bindings, make: Callable[[object], Object], what: str) -> Object:
    try:
        made = make(logger_of(bindings))
    except TypeError as error:
        # pybind11::init(): factory function returned nullptr
        reasons = reasons_of(bindings) or "is there a GPU, and a driver that fits?"
        raise ModelError(f"TensorRT {bindings.__version__} cannot make its {what}: {reasons}") from error
    return made
