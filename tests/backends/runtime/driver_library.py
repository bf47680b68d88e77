"""The functions of libcuda.so.1 that fer_edge calls without pycuda, as a part of the double of the driver."""

import ctypes
from collections import Counter
from collections.abc import Callable
from typing import Any

from driver_objects import Context

SUCCESS, OUT_OF_MEMORY, NO_DEVICE, INVALID_CONTEXT, LOST = 0, 2, 100, 201, 719
NAMES = {2: "CUDA_ERROR_OUT_OF_MEMORY", 201: "CUDA_ERROR_INVALID_CONTEXT", 719: "CUDA_ERROR_LAUNCH_FAILED"}


class DriverLibrary:
    """Functions that return CUDA's error codes."""

    calls: Counter[str]
    stack: list[Context]
    streams: Any
    graphs: dict[int, list[Callable[[], None]]]
    Error: type[Exception]
    note: Callable[..., None]

    def cuInit(self, _flags: int) -> int:  # noqa: N802
        """No GPU for `engines.gpu`: tests set that themselves."""
        return NO_DEVICE

    def cuCtxPopCurrent_v2(self, context: Any) -> int:  # noqa: N802
        context._obj.value = self.stack.pop().handle
        return SUCCESS

    def cuCtxPushCurrent_v2(self, context: ctypes.c_void_p) -> int:  # noqa: N802
        self.stack.append(Context.by_handle[context.value or 0])
        return SUCCESS

    def cuGetErrorName(self, error: int, text: Any) -> int:  # noqa: N802
        text._obj.value = NAMES[error].encode()
        return SUCCESS

    def cuCtxSynchronize(self) -> int:  # noqa: N802
        self.calls["cuCtxSynchronize"] += 1
        return SUCCESS

    def cuStreamSynchronize(self, stream: ctypes.c_void_p) -> int:  # noqa: N802
        self.calls["cuStreamSynchronize"] += 1
        return SUCCESS

    def cuStreamBeginCapture_v2(self, stream: ctypes.c_void_p, mode: ctypes.c_int) -> int:  # noqa: N802
        return self._call(
            "cuStreamBeginCapture_v2", lambda: self.streams[stream.value or 0].begin(mode.value)
        )

    def cuStreamEndCapture(self, stream: ctypes.c_void_p, graph: Any) -> int:  # noqa: N802
        def end() -> None:
            graph._obj.value = self._keep(self.streams[stream.value or 0].end())

        return self._call("cuStreamEndCapture", end)

    def cuGraphInstantiateWithFlags(self, executable: Any, graph: ctypes.c_void_p, flags: Any) -> int:  # noqa: N802
        def instantiate() -> None:
            assert flags.value == 0
            executable._obj.value = self._keep(list(self.graphs[graph.value or 0]))

        return self._call("cuGraphInstantiateWithFlags", instantiate)

    def cuGraphLaunch(self, executable: ctypes.c_void_p, stream: ctypes.c_void_p) -> int:  # noqa: N802
        def launch() -> None:
            for work in self.graphs[executable.value or 0]:
                self.streams[stream.value or 0].put(work)

        return self._call("cuGraphLaunch", launch)

    def cuGraphExecDestroy(self, executable: ctypes.c_void_p) -> int:  # noqa: N802
        return self._call("cuGraphExecDestroy", lambda: self.graphs.pop(executable.value or 0))

    def cuGraphDestroy(self, graph: ctypes.c_void_p) -> int:  # noqa: N802
        return self._call("cuGraphDestroy", lambda: self.graphs.pop(graph.value or 0))

    def _call(self, name: str, work: Callable[[], object]) -> int:
        try:
            self.note(name, recordable=True)
        except self.Error as error:
            return next(code for code, text in NAMES.items() if text in str(error))
        work()
        return SUCCESS

    def _keep(self, works: list[Callable[[], None]]) -> int:
        number = 0x7000 + self.calls["kept graphs"]
        self.calls["kept graphs"] += 1
        self.graphs[number] = works
        return number
