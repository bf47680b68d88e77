"""The objects of pycuda.driver's double: contexts, memory, streams and events. See driver_double."""

import ctypes
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

# CUdevice_attribute, CU_MEMHOSTALLOC_DEVICEMAP and CU_EVENT_DISABLE_TIMING of cuda.h
INTEGRATED, DEVICEMAP, DISABLE_TIMING = 18, 2, 2
Driver = Any  # driver_double.Driver


class Device:
    """pycuda.driver.Device."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def name(self) -> str:
        return "Double of a GPU"

    def get_attribute(self, attribute: int) -> int:
        assert attribute == INTEGRATED
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
        assert self._flags == DEVICEMAP
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
        self._timed = flags != DISABLE_TIMING

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
