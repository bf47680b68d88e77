"""Memory that is reused for every frame and never shared between threads.

Allocating large arrays for each frame costs more (in page faults) than the arithmetic on them. One array for
all threads would need a lock around the network. So each thread keeps one block, which grows up to the
largest array that was asked for. Callers ask for none above MAX_KEPT_BYTES: a rare large array is allocated
for one call.
"""

import math
import threading
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

# The luma plane of an 8K frame (7680 x 4320) is below it.
MAX_KEPT_BYTES = 34_000_000

Scalar = TypeVar("Scalar", bound=np.generic)


class ThreadBuffer(Generic[Scalar]):
    """One block of memory per calling thread, returned as an array of the requested shape."""

    def __init__(self, dtype: type[Scalar]) -> None:
        self._dtype = dtype
        self._local = threading.local()

    def reserve(self, shape: tuple[int, ...]) -> NDArray[Scalar]:
        """Returns a C-contiguous array with undefined values, valid until the next call of this thread."""
        length = math.prod(shape)
        block: NDArray[Scalar] | None = getattr(self._local, "block", None)
        if block is None or len(block) < length:
            block = np.empty(length, self._dtype)
            self._local.block = block
        view = block[:length].reshape(shape)
        self._local.view = view
        return view

    def reserved(self) -> NDArray[Scalar]:
        """Returns the array that this thread reserved last."""
        view: NDArray[Scalar] = self._local.view
        return view

    def free(self) -> None:
        """Gives the memory of all threads back; no thread may be using it."""
        self._local = threading.local()
