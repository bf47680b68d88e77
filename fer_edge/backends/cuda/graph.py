"""CUDA graphs, by the functions of the CUDA driver: pycuda has none of them.

A graph is recorded once and launched with one call, instead of one call for each kernel. All functions are in
every driver from CUDA 11.4 on.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from fer_edge.backends.cuda.device import LIBRARY, DeviceError

# CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads, such as PyTorch's, may allocate during the recording.
THREAD_LOCAL = 1
# Function of cuda.h -> types of its arguments.
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuStreamBeginCapture_v2": (ctypes.c_void_p, ctypes.c_int),
    "cuStreamEndCapture": (ctypes.c_void_p, ctypes.c_void_p),
    "cuGraphInstantiateWithFlags": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulonglong),
    "cuGraphLaunch": (ctypes.c_void_p, ctypes.c_void_p),
    "cuGraphExecDestroy": (ctypes.c_void_p,),
    "cuGraphDestroy": (ctypes.c_void_p,),
}


class Graph:
    """The work that `enqueue` puts on a stream, recorded. The context is current in all calls.

    Args:
        stream: of pycuda; idle.
        enqueue: puts the work on the stream. It must have run before, so that nothing is set up in it.

    Raises:
        DeviceError: the work cannot be recorded.
    """

    def __init__(self, stream: Any, enqueue: Callable[[], None]) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        graph, self._executable = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", stream.handle, THREAD_LOCAL)
        try:
            enqueue()
        except BaseException:
            # The stream must leave the recording. What was recorded is of no use, and so is its error.
            self._library.cuStreamEndCapture(ctypes.c_void_p(stream.handle), ctypes.byref(graph))
            if graph:
                self._call("cuGraphDestroy", graph)
            raise
        self._call("cuStreamEndCapture", stream.handle, ctypes.byref(graph))
        try:
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(self._executable), graph, 0)
        finally:
            self._call("cuGraphDestroy", graph)

    def launch(self, stream: Any) -> None:
        """Puts the recorded work on a stream."""
        self._call("cuGraphLaunch", self._executable, stream.handle)

    def close(self) -> None:
        """Frees the graph."""
        if self._executable:
            self._call("cuGraphExecDestroy", self._executable)
            self._executable = ctypes.c_void_p()

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name)
        converted = [
            argument if not isinstance(argument, int) else kind(argument)
            for kind, argument in zip(FUNCTIONS[name], arguments, strict=True)
        ]
        if error := function(*converted):
            raise DeviceError(f"{name} failed: {_name_of_error(self._library, error)}")


def _name_of_error(library: Any, error: int) -> str:
    text = ctypes.c_char_p()
    if library.cuGetErrorName(error, ctypes.byref(text)) or text.value is None:
        return f"error {error}"
    return text.value.decode()
