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
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pytest
from driver_library import INVALID_CONTEXT, LOST, NAMES, OUT_OF_MEMORY, DriverLibrary
from driver_objects import (
    DEVICEMAP,
    DISABLE_TIMING,
    INTEGRATED,
    Allocation,
    Context,
    Device,
    Event,
    Pinned,
    PinnedArray,
    Stream,
)

from fer_edge import ops

ALIGNMENT = 256


class Driver(DriverLibrary, ModuleType):
    """Stands in for the module pycuda.driver."""

    host_alloc_flags = SimpleNamespace(DEVICEMAP=DEVICEMAP)
    event_flags = SimpleNamespace(DISABLE_TIMING=DISABLE_TIMING)
    device_attribute = SimpleNamespace(INTEGRATED=INTEGRATED)

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
