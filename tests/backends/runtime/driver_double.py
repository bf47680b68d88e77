"""A double of the CUDA driver, for machines without a GPU: pycuda.driver, and the graph functions of libcuda.

Memory of the "GPU" is memory of this process, full of NaN until it is written. Work on a stream is done when
something waits for it, as late as a GPU could do it, so a missing wait gives wrong results. Calls that CUDA
refuses raise: no current context, memory that is not allocated, anything but recordable work while a stream
is recorded. `fail` plants errors; `alive` counts what was not freed.
"""

import ctypes
import sys
import threading
from collections import Counter
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np
import pytest

from fer_edge import ops

SUCCESS, OUT_OF_MEMORY, INVALID_CONTEXT, LOST = 0, 2, 201, 719
NAMES = {2: "CUDA_ERROR_OUT_OF_MEMORY", 201: "CUDA_ERROR_INVALID_CONTEXT", 719: "CUDA_ERROR_LAUNCH_FAILED"}
ALIGNMENT = 256


class Driver(ModuleType):
    """Stands in for the module pycuda.driver."""

    host_alloc_flags = SimpleNamespace(DEVICEMAP=2)
    event_flags = SimpleNamespace(DISABLE_TIMING=2)
    device_attribute = SimpleNamespace(INTEGRATED=18)

    class Error(Exception):
        """pycuda._driver.Error."""

    class MemoryError(Error):
        """pycuda._driver.MemoryError."""

    def __init__(self) -> None:
        super().__init__("pycuda.driver")
        self.calls: Counter[str] = Counter()
        self.memory: dict[int, int] = {}  # address -> bytes
        self.streams: WeakValueDictionary[int, Stream] = WeakValueDictionary()
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.retained = 0
        self.integrated = False
        self.lost = False
        self._kept: list[Any] = []  # freed memory is never used again by this process
        self._failing: dict[str, tuple[int, int]] = {}
        self._local = threading.local()
        self.lock = threading.RLock()
        self.Stream = lambda flags=0: Stream(self, flags)
        self.Event = lambda flags=0: Event(self, flags)
        self.Context = SimpleNamespace(get_current=lambda: self.known[-1] if self.known else None)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replaces pycuda.driver, the extension with the kernels, and CUDA's library."""
        import fer_edge

        package = ModuleType("pycuda")
        monkeypatch.setitem(sys.modules, "pycuda", package)
        monkeypatch.setitem(sys.modules, "pycuda.driver", self)
        kernels = ModuleType("fer_edge._cuda")
        kernels.warp_normalize = self.warp_normalize  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fer_edge._cuda", kernels)
        monkeypatch.setitem(fer_edge.__dict__, "_cuda", kernels)
        real = ctypes.CDLL
        library = SimpleNamespace(**{n: getattr(self, n) for n in dir(type(self)) if n.startswith("cu")})
        monkeypatch.setattr(
            ctypes, "CDLL", lambda name, *a, **s: library if name == "libcuda.so.1" else real(name, *a, **s)
        )

    def fail(self, call: str, error: int = LOST, *, after: int = 0) -> None:
        """Lets a call fail, after some that succeed, until `mend`."""
        self._failing[call] = (self.calls[call] + after, error)

    def mend(self) -> None:
        """Ends all failures."""
        self._failing.clear()
        self.lost = False

    @property
    def alive(self) -> dict[str, int]:
        """What was made and not freed."""
        counts = {
            "memory": len(self.memory),
            "streams": len(self.streams),
            "graphs": len(self.graphs),
            "contexts": self.retained,
            "current": len(self.stack),
            "known": len(self.known),
        }
        return {name: count for name, count in counts.items() if count}

    @property
    def stack(self) -> list["Context"]:
        """CUDA's contexts of this thread, the current one last."""
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        stack: list[Context] = self._local.stack
        return stack

    @property
    def known(self) -> list["Context"]:
        """The contexts of this thread that pycuda knows."""
        if not hasattr(self._local, "known"):
            self._local.known = []
        known: list[Context] = self._local.known
        return known

    def note(self, call: str, *, recordable: bool = False) -> None:
        """Counts a call; raises what CUDA would raise for it."""
        self.calls[call] += 1
        first, error = self._failing.get(call, (sys.maxsize, 0))
        if self.lost:
            first, error = 0, LOST
        if self.calls[call] > first:
            kind = self.MemoryError if error == OUT_OF_MEMORY else self.Error
            raise kind(f"{call} failed: {NAMES[error]}")
        if not self.stack:
            raise self.Error(f"{call} failed: {NAMES[INVALID_CONTEXT]}")
        if not recordable:
            recorded = [s for s in self.streams.values() if s.recorder == threading.get_ident()]
            assert not recorded, f"{call} is not permitted while a stream is recorded"

    def init(self) -> None:
        """As cuInit."""

    def Device(self, number: int) -> "Device":  # noqa: N802, pycuda's name
        """As cuDeviceGet."""
        if number:
            raise self.Error("cuDeviceGet failed: invalid device ordinal")
        return Device(self)

    def mem_alloc(self, size: int) -> "Allocation":
        """As cuMemAlloc."""
        self.note("mem_alloc")
        return Allocation(self, size)

    def pagelocked_empty(self, shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> Any:
        """As cuMemHostAlloc."""
        self.note("pagelocked_empty")
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = Pinned(self, size, mem_flags)
        array: Any = np.ndarray(shape, dtype, buffer=memory.data)
        return PinnedArray.of(array, memory)

    def memcpy_htod_async(self, target: int, source: Any, stream: "Stream") -> None:
        """As cuMemcpyHtoDAsync; only pinned memory may be read later."""
        self.note("memcpy_htod_async", recordable=True)
        assert source.flags.c_contiguous
        address, size = source.ctypes.data, source.nbytes
        if not self.is_allocated(address, size):
            # As the driver, which copies memory that is not pinned at once.
            held = source.copy()
            self._kept.append(held)
            address = held.ctypes.data
            self.require(target, size)
            stream.put(lambda: ctypes.memmove(target, address, size))
            return
        self.copy(target, address, size, stream)

    def memcpy_dtoh_async(self, target: Any, source: int, stream: "Stream") -> None:
        """As cuMemcpyDtoHAsync."""
        self.note("memcpy_dtoh_async", recordable=True)
        assert target.flags.c_contiguous
        assert target.flags.writeable
        address, size = target.ctypes.data, target.nbytes
        self._kept.append(target)
        self.require(source, size)
        stream.put(lambda: ctypes.memmove(address, source, size))

    def memcpy_dtod_async(self, target: int, source: int, size: int, stream: "Stream") -> None:
        """As cuMemcpyDtoDAsync."""
        self.note("memcpy_dtod_async", recordable=True)
        self.copy(target, source, size, stream)

    def memset_d8_async(self, target: int, value: int, size: int, stream: "Stream") -> None:
        """As cuMemsetD8Async."""
        self.note("memset_d8_async", recordable=True)
        self.require(target, size)
        stream.put(lambda: ctypes.memset(target, value, size))

    def copy(self, target: int, source: int, size: int, stream: "Stream") -> None:
        """Puts a copy between allocated memory on a stream."""
        self.require(target, size)
        self.require(source, size)
        stream.put(lambda: ctypes.memmove(target, source, size))

    def is_allocated(self, address: int, size: int) -> bool:
        """Whether bytes lie in one allocation."""
        return any(a <= address and address + size <= a + s for a, s in list(self.memory.items()))

    def require(self, address: int, size: int) -> None:
        """Raises unless bytes lie in one allocation."""
        if not self.is_allocated(address, size):
            raise self.Error(f"{size} bytes at {address:#x} are not allocated")

    def array(self, address: int, shape: tuple[int, ...], dtype: Any, strides: Any = None) -> Any:
        """Memory as an array."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if strides is not None:
            size = (shape[0] - 1) * strides[0] + shape[1]
        self.require(address, size)
        data = (ctypes.c_uint8 * size).from_address(address)
        return np.ndarray(shape, dtype, data, 0, strides)

    def warp_normalize(
        self,
        plane,
        size,
        row_stride,
        matrices,
        count,
        out,
        dtype,
        out_size,
        mean,
        scale,
        border,
        fill,
        stream,
    ) -> None:
        """As `fer_edge._cuda`, by the CPU's operation, which the kernel equals to the last bit."""
        try:
            self.note("warp_normalize", recordable=True)
        except self.Error as error:
            raise RuntimeError(f"warp_normalize: {error}") from error
        assert dtype == "float32"
        assert out % 32 == 0

        def work() -> None:
            ops.warp_normalize(
                self.array(plane, tuple(size), np.uint8, (row_stride, 1)),
                self.array(matrices, (count, 2, 3), np.float32).copy(),
                self.array(out, (count, 1, *out_size), np.float32),
                mean=mean,
                scale=scale,
                border=border,
                fill=fill,
            )

        self.streams[stream].put(work)

    # The functions of libcuda.so.1 that are called without pycuda.

    def cuCtxPopCurrent_v2(self, context: Any) -> int:  # noqa: N802
        context._obj.value = self.stack.pop().handle
        return SUCCESS

    def cuCtxPushCurrent_v2(self, context: ctypes.c_void_p) -> int:  # noqa: N802
        self.stack.append(Context.by_handle[context.value or 0])
        return SUCCESS

    def cuGetErrorName(self, error: int, text: Any) -> int:  # noqa: N802
        text._obj.value = NAMES[error].encode()
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

    def made(self, size: int) -> tuple[Any, int]:
        """New memory full of NaN, and its aligned address."""
        data = np.full(size + ALIGNMENT, 0xFF, np.uint8)
        self._kept.append(data)
        address = -(-data.ctypes.data // ALIGNMENT) * ALIGNMENT
        with self.lock:
            self.memory[address] = size
        return data, address

    def unmade(self, address: int) -> None:
        """Frees memory; what reads it later finds NaN."""
        with self.lock:
            size = self.memory.pop(address)
        ctypes.memset(address, 0xFF, size)


class Device:
    """pycuda.driver.Device."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def name(self) -> str:
        return "Double of a GPU"

    def get_attribute(self, attribute: int) -> int:
        assert attribute == Driver.device_attribute.INTEGRATED
        return int(self._driver.integrated)

    def retain_primary_context(self) -> "Context":
        """As cuDevicePrimaryCtxRetain, which makes nothing current."""
        self._driver.retained += 1
        return Context(self._driver)


class Context:
    """A retained primary context. pycuda keeps a stack beside CUDA's (src/cpp/cuda.hpp of pycuda 2026.1)."""

    by_handle: ClassVar[dict[int, "Context"]] = {}

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._valid = True
        self.handle = 0x1000 + len(self.by_handle)
        self.by_handle[self.handle] = self

    def push(self) -> None:
        """Takes pycuda's previous context off CUDA's stack."""
        assert self._valid
        if self._driver.known:
            self._driver.stack.pop()
        self._driver.stack.append(self)
        self._driver.known.append(self)

    def pop(self) -> None:
        """Brings pycuda's previous context back."""
        assert self._driver.known.pop() is self
        assert self._driver.stack.pop() is self
        if self._driver.known:
            self._driver.stack.append(self._driver.known[-1])

    def detach(self) -> None:
        """As cuDevicePrimaryCtxRelease, which leaves CUDA's stack as it is."""
        assert self._driver.known[-1] is self, "pycuda leaks a context that is not current"
        self._valid = False
        self._driver.retained -= 1
        self._driver.known.pop()
        if self._driver.known:
            self._driver.stack.append(self._driver.known[-1])


class Allocation:
    """pycuda.driver.DeviceAllocation."""

    def __init__(self, driver: Driver, size: int) -> None:
        self._driver = driver
        _, self._address = driver.made(size)

    def __int__(self) -> int:
        return self._address

    def free(self) -> None:
        """As cuMemFree, which waits for the GPU; pycuda only prints an error of a lost device."""
        if not self._driver.lost:
            self._driver.note("free")
            self._driver.unmade(self._address)


class Pinned:
    """pycuda.driver.PagelockedHostAllocation."""

    def __init__(self, driver: Driver, size: int, flags: int) -> None:
        self._driver = driver
        self._flags = flags
        _, self._address = driver.made(size)
        self.data = (ctypes.c_uint8 * size).from_address(self._address)

    def get_device_pointer(self) -> int:
        """As cuMemHostGetDevicePointer."""
        assert self._flags == Driver.host_alloc_flags.DEVICEMAP
        return self._address

    def free(self) -> None:
        """As cuMemFreeHost."""
        if not self._driver.lost:
            self._driver.note("free_host")
            self._driver.unmade(self._address)


class PinnedArray(np.ndarray):  # type: ignore[type-arg]
    """An array whose base is the allocation, as pycuda's: NumPy lets only C code set that."""

    @classmethod
    def of(cls, array: Any, memory: Pinned) -> "PinnedArray":
        made = array.view(cls)
        made._memory = memory
        return made

    def __array_finalize__(self, source: Any) -> None:
        self._memory = None

    @property
    def base(self) -> Any:
        return self._memory


class Stream:
    """pycuda.driver.Stream: work that is done when it is waited for."""

    def __init__(self, driver: Driver, flags: int) -> None:
        driver.note("Stream")
        assert flags == 1, "the stream must not wait for the default stream"
        self._driver = driver
        self.handle = 0x5000 + driver.calls["Stream"]
        self.waiting: list[Callable[[], None]] = []
        self.done = 0  # works since the beginning
        self.recorder = 0  # the thread that records
        self._recorded: list[Callable[[], None]] = []
        driver.streams[self.handle] = self

    def put(self, work: Callable[[], None]) -> None:
        """Adds work, to the recording if there is one."""
        if self.recorder:
            assert self.recorder == threading.get_ident(), "another thread's work would be recorded"
        with self._driver.lock:
            (self._recorded if self.recorder else self.waiting).append(work)

    def begin(self, mode: int) -> None:
        assert mode == 1
        assert not self.recorder
        self.recorder, self._recorded = threading.get_ident(), []

    def end(self) -> list[Callable[[], None]]:
        self.recorder = 0
        return self._recorded

    def synchronize(self) -> None:
        """Does all work."""
        self._driver.note("synchronize")
        self.work_until(self.done + len(self.waiting))

    def work_until(self, count: int) -> None:
        """Does the work up to this number."""
        with self._driver.lock:
            while self.done < count:
                self.waiting.pop(0)()
                self.done += 1


class Event:
    """pycuda.driver.Event."""

    def __init__(self, driver: Driver, flags: int) -> None:
        driver.note("Event")
        self._driver = driver
        self._timed = flags != Driver.event_flags.DISABLE_TIMING

    def record(self, stream: Stream) -> "Event":
        """As cuEventRecord."""
        self._driver.note("record")
        with self._driver.lock:
            self._stream, self._until = stream, stream.done + len(stream.waiting)
        return self

    def synchronize(self) -> "Event":
        """As cuEventSynchronize."""
        self._driver.note("event_synchronize", recordable=True)
        self._stream.work_until(self._until)
        return self

    def time_since(self, start: "Event") -> float:
        """Milliseconds, of which a double has none."""
        assert self._timed
        assert start._timed
        return 1.0
