"""What the networks of one Recognizer share on a GPU: context, stream, the frame's plane, and the sampler.

All work goes to one stream. A thread keeps its frame and inputs in memory of its own, so threads do not wait
for each other except while work is put on the stream.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fer_edge.arrays import U8
from fer_edge.backends.cuda.device import Device
from fer_edge.backends.cuda.frame import DevicePlane, Pixels, is_on_gpu, pixels_from_array
from fer_edge.backends.cuda.kernels import compiled_kernels
from fer_edge.backends.cuda.memory import Block, ThreadSets
from fer_edge.backends.cuda.sampling import CpuSampler, GpuSampler, Sampler


class Session:
    """A GPU, ready for networks. Raises ImportError or DeviceError as `Device`.

    Args:
        in_place: the GPU reads frames from the CPU's memory instead of copying them; for a GPU that shares
            it.
    """

    def __init__(self, *, in_place: bool = False) -> None:
        self.device = Device()
        try:
            with self.device.current():
                self.stream = self.device.stream()
            self._lock = threading.RLock()
            self.in_place = in_place
            self._frames = ThreadSets(lambda: Block(self.device, self.stream, in_place=in_place))
            kernels: Any = compiled_kernels()
            self.sample: Sampler = (
                CpuSampler() if kernels is None else GpuSampler(kernels, self.stream, self._upload)
            )
        except BaseException:
            self.device.close()
            raise

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Makes the context current, and the stream this thread's own.

        A stream that is being recorded must not be used by another thread. A thread may nest this.
        """
        with self._lock, self.device.current():
            yield

    def wait_for(self, mark: Any) -> None:
        """Waits for a mark of the stream; other threads may use the stream meanwhile."""
        with self.device.current():
            self.stream.wait_for(mark)

    def plane(self, luma: U8) -> DevicePlane:
        """Begins a frame that is on the CPU."""
        return DevicePlane(luma, None, self.stream, self.exclusive)

    def plane_on_device(self, frame: Any, layout: str | None) -> DevicePlane | None:
        """Begins a frame that is in a GPU's memory; None if it is not.

        Raises:
            TypeError: it is not uint8.
            ValueError: it is not a grey or NV12 frame with contiguous rows, or is on another GPU.
        """
        if not is_on_gpu(frame):
            return None
        with self.exclusive():
            pixels = pixels_from_array(frame, layout, self.stream, self.device.number)
        return DevicePlane(None, pixels, self.stream, self.exclusive)

    def close(self) -> None:
        """Frees everything; a second call does nothing."""
        self.device.close()

    def _upload(self, plane: U8) -> Pixels:
        """Copies a plane to the GPU; the context is current."""
        block = self._frames.mine()
        height, width = plane.shape
        block.reserve(plane.size)
        block.host((height, width), np.uint8)[...] = plane
        block.upload(plane.size)
        return Pixels(block.address, (height, width), width)
