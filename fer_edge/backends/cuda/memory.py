"""Memory of the GPU that is reused for every frame, one set for each thread that recognizes.

As fer_edge.buffers, but the memory of a thread that has ended goes to the next new thread: it cannot be left
to the garbage collector.
"""

import math
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32, U8
from fer_edge.backends.cuda.device import Device, Stream

Set = TypeVar("Set")


class Block:
    """Memory on the GPU and the same amount of pinned memory, which only grow.

    Args:
        device: its GPU; the context is current in all calls, and no other thread uses the stream.
        stream: for copies.
        in_place: the GPU reads the pinned memory itself, so there is no other. For GPUs that share the CPU's
            memory.
    """

    def __init__(self, device: Device, stream: Stream, *, in_place: bool = False) -> None:
        self._device = device
        self._stream = stream
        self._in_place = in_place
        self._pinned: U8 | None = None
        self.address = 0  # on the GPU

    def reserve(self, size: int) -> None:
        """Makes room for `size` bytes, whose values are undefined."""
        if self._pinned is not None and len(self._pinned) >= size:
            return
        device = self._device
        if self._pinned is not None:
            self._stream.synchronize()
            if not self._in_place:
                device.free(self.address)
            pinned, self._pinned = self._pinned, None
            device.free_pinned(pinned)
        pinned = device.pinned(max(size, 1), np.uint8, mapped=self._in_place)
        self.address = device.mapped_address(pinned) if self._in_place else device.allocate(size)
        self._pinned = pinned

    def host(self, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
        """The pinned memory as an array."""
        assert self._pinned is not None
        return self._pinned[: math.prod(shape) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)

    def upload(self, size: int) -> None:
        """Copies the first bytes to the GPU, where that is needed; they must not change meanwhile."""
        if not self._in_place:
            self._stream.upload(self.address, self.host((size,), np.uint8))


class Input:
    """The input of a network for one thread, on the CPU and on the GPU, and which of them is newer.

    As for `Block`, except `host` and `changed`, which any thread may call at any time.
    """

    def __init__(self, device: Device, stream: Stream) -> None:
        self._block = Block(device, stream)
        self._stream = stream
        self.matrices = Block(device, stream)
        self.shape: tuple[int, ...] = ()
        self._host_is_newer = self._device_is_newer = False

    def reserve(self, shape: tuple[int, ...]) -> None:
        """Makes room for float32 of this shape, which the CPU fills."""
        self._block.reserve(4 * math.prod(shape))
        self.shape = shape
        self.changed()

    @property
    def host(self) -> F32:
        """On the CPU, pinned."""
        return self._block.host(self.shape, np.float32)

    @property
    def address(self) -> int:
        """On the GPU."""
        return self._block.address

    def changed(self) -> None:
        """The CPU has changed its copy."""
        self._host_is_newer, self._device_is_newer = True, False

    def changed_on_device(self) -> None:
        """The GPU has changed its copy, or will."""
        self._host_is_newer, self._device_is_newer = False, True

    def download(self) -> Any:
        """Brings the CPU's copy up to date; returns the mark to wait for, None if there is nothing to do."""
        if not self._device_is_newer:
            return None
        self._stream.download(self.host.reshape(-1), self.address)
        self._device_is_newer = False
        return self._stream.mark()

    def copy_rows(self, row: int, count: int, target: int) -> None:
        """Copies some rows to an address on the GPU, from where they are newest."""
        size = 4 * math.prod(self.shape[1:])
        if not count:
            return
        if self._host_is_newer:
            self._stream.upload(target, self.host[row : row + count])
        else:
            self._stream.copy(target, self.address + row * size, count * size)


class Work:
    """What one thread needs to run one network; as `Block`."""

    def __init__(self, device: Device, stream: Stream) -> None:
        self.input = Input(device, stream)
        self._device = device
        self._stream = stream
        self._answers: U8 | None = None

    def answers(self, size: int) -> U8:
        """Pinned memory for the outputs of a run."""
        if self._answers is None or len(self._answers) < size:
            if self._answers is not None:
                self._stream.synchronize()
                answers, self._answers = self._answers, None
                self._device.free_pinned(answers)
            self._answers = self._device.pinned(size, np.uint8)
        return self._answers[:size]


class _Holder(Generic[Set]):
    """Lives in a thread's local memory, and so exactly as long as the thread."""

    def __init__(self, held: Set) -> None:
        self.set = held


class ThreadSets(Generic[Set]):
    """One set of memory for each thread that is alive; `make` makes one.

    That a thread has ended is seen by the end of its local memory, because `threading` does not know the end
    of a thread that other code started. A set changes hands in one step, so there is no lock.
    """

    def __init__(self, make: Callable[[], Set]) -> None:
        self._make = make
        self._local = threading.local()
        self._left: list[Set] = []  # by threads that have ended

    def mine(self) -> Set:
        """The set of the calling thread."""
        holder: _Holder[Set] | None = getattr(self._local, "holder", None)
        if holder is None:
            holder = self._local.holder = _Holder(self._take())
            finalize(holder, self._left.append, holder.set)
        return holder.set

    def _take(self) -> Set:
        try:
            return self._left.pop()
        except IndexError:
            return self._make()
