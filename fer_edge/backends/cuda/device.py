"""One GPU: its primary context, memory and streams, and its failures as one exception.

PyTorch, TensorRT and ONNX Runtime use the primary context too, so their memory can be read, and no second
context occupies GPU memory. pycuda ties an object to the thread that made it, unless the context is current:
therefore all is freed inside `current`, by any thread, and nothing is left to the garbage collector.
"""

import ctypes
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_edge.installation.repair_commands import install_extra

LIBRARY = "libcuda.so.1"
# CU_STREAM_NON_BLOCKING of cuda.h, for which pycuda has no name.
NON_BLOCKING = 1
_INSTALL = f"{install_extra('gpu')} (its build needs the CUDA headers, see docs/deploy.md)"


class DeviceError(RuntimeError):
    """The GPU refused or lost work: out of memory, a failed launch, a lost device. The message says which."""


class Device:
    """The primary context of a GPU, and everything that was allocated in it.

    Args:
        number: index of the GPU.

    Raises:
        ImportError: pycuda is not installed.
        DeviceError: there is no driver, or no such GPU.
    """

    def __init__(self, number: int = 0) -> None:
        self._driver = _pycuda_driver()
        self.number = number
        self._allocations: dict[int, Any] = {}  # address -> pycuda's object
        self._pinned: dict[int, Any] = {}  # address -> array
        self._streams: list[Stream] = []
        with self.errors(f"GPU {number} cannot be used"):
            self._driver.init()
            gpu = self._driver.Device(number)
            self.name: str = gpu.name()
            # The memory of a Jetson is that of its CPU.
            self.shares_memory = bool(gpu.get_attribute(self._driver.device_attribute.INTEGRATED))
            self._context: Any = gpu.retain_primary_context()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes the context current for this thread, and CUDA's errors inside a DeviceError."""
        if self._context is None:
            raise RuntimeError("this GPU's memory was freed; make a new Recognizer")
        with self.errors("the GPU failed"):
            self._context.push()
            try:
                yield
            finally:
                self._context.pop()

    @contextmanager
    def errors(self, failure: str) -> Iterator[None]:
        """Turns an error of CUDA into a DeviceError."""
        try:
            yield
        except self._driver.MemoryError as error:
            raise DeviceError(
                f"{failure}: its memory is full ({error}); close other programs, or use fewer threads"
            ) from error
        except self._driver.Error as error:
            raise DeviceError(f"{failure}: {error}") from error

    def allocate(self, size: int) -> int:
        """Returns the address of `size` bytes on the GPU, a multiple of 256; the context is current."""
        allocation = self._driver.mem_alloc(max(size, 1))
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def free(self, address: int) -> None:
        """Frees what `allocate` returned; the context is current."""
        self._allocations.pop(address).free()

    def pinned(self, shape: Sequence[int] | int, dtype: type[np.generic], *, mapped: bool = False) -> Any:
        """Returns an array of zeros that the GPU copies without the CPU; ``mapped``: and reads in place."""
        flags = self._driver.host_alloc_flags.DEVICEMAP if mapped else 0
        array = self._driver.pagelocked_empty(shape, dtype, mem_flags=flags)
        array.fill(0)
        self._pinned[array.ctypes.data] = array
        return array

    def free_pinned(self, array: NDArray[Any]) -> None:
        """Frees what `pinned` returned; no view of it may be used any more."""
        self._pinned.pop(array.ctypes.data).base.free()

    def mapped_address(self, array: NDArray[Any]) -> int:
        """The address under which the GPU reads a mapped array."""
        return int(array.base.get_device_pointer())  # type: ignore[union-attr]

    def stream(self) -> "Stream":
        """Returns a stream that does not wait for the default stream; the context is current."""
        stream = Stream(self._driver)
        self._streams.append(stream)
        return stream

    def close(self) -> None:
        """Frees all memory and streams, and releases the context; a second call does nothing."""
        if self._context is None:
            return
        previous = self._driver.Context.get_current()
        context, self._context = self._context, None
        with self.errors("the GPU's memory cannot be freed"):
            context.push()
            # A lost device refuses each call, and pycuda reports that without an exception.
            for array in self._pinned.values():
                array.base.free()
            for allocation in self._allocations.values():
                allocation.free()
            for stream in self._streams:
                stream.close()
            self._pinned, self._allocations, self._streams = {}, {}, []
            context.detach()
        # pycuda assumes that releasing the primary context also pops it. According to CUDA's manual it does
        # not. If pycuda knows the previous context, it has pushed that one on top.
        library, top = ctypes.CDLL(LIBRARY), ctypes.c_void_p()
        library.cuCtxPopCurrent_v2(ctypes.byref(top))
        if previous is not None:
            library.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
            library.cuCtxPushCurrent_v2(top)


class Stream:
    """Work of the GPU in order, made by `Device.stream`. The context is current in all calls."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._native: Any = driver.Stream(NON_BLOCKING)
        self._marks: list[Any] = []

    @property
    def handle(self) -> int:
        """The CUstream, for other libraries."""
        return int(self._native.handle)

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copies an array to the GPU; pinned memory must not change before the copy is done."""
        self._driver.memcpy_htod_async(address, array, self._native)

    def download(self, array: NDArray[Any], address: int) -> None:
        """Copies into an array, which is filled once the work before has been waited for."""
        self._driver.memcpy_dtoh_async(array, address, self._native)

    def copy(self, target: int, source: int, size: int) -> None:
        """Copies bytes on the GPU."""
        self._driver.memcpy_dtod_async(target, source, size, self._native)

    def fill(self, address: int, size: int) -> None:
        """Sets bytes on the GPU to zero."""
        self._driver.memset_d8_async(address, 0, size, self._native)

    def mark(self) -> Any:
        """Returns an event that is reached when the work so far is done; wait with its `synchronize`."""
        event = (
            self._marks.pop() if self._marks else self._driver.Event(self._driver.event_flags.DISABLE_TIMING)
        )
        return event.record(self._native)

    def record(self, event: Any) -> None:
        """Lets an event of pycuda, of the caller, be reached when the work so far is done."""
        event.record(self._native)

    def wait_for(self, event: Any) -> None:
        """Waits for a mark, which can then be used again."""
        event.synchronize()
        self._marks.append(event)

    def synchronize(self) -> None:
        """Waits for all work."""
        self._native.synchronize()

    def close(self) -> None:
        """Frees the stream."""
        self._native = None
        self._marks.clear()


def _pycuda_driver() -> Any:
    """pycuda.driver. Its import fails if the CUDA driver is missing."""
    try:
        return importlib.import_module("pycuda.driver")
    except ModuleNotFoundError as error:
        raise ImportError(f"the GPU runtime needs pycuda ({error}); {_INSTALL}") from error
    except ImportError as error:
        raise DeviceError(f"the CUDA driver is missing: {error}; install the driver of the GPU") from error
