"""Samples pictures from a plane into the input of a network: on the GPU where the extension is built.

`fer_edge._cuda` takes addresses and a stream, so neither PyTorch nor its memory is needed. Without it the CPU
samples, and the pictures are uploaded: slower, with the same values to the last bit.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from fer_edge import ops
from fer_edge.arrays import F32, U8
from fer_edge.backends.base import Sampling
from fer_edge.backends.cuda.device import DeviceError, Stream
from fer_edge.backends.cuda.frame import DevicePlane, Pixels
from fer_edge.backends.cuda.memory import Input


class Sampler(Protocol):
    """Fills an input, whose shape is reserved, as `fer_edge.ops.reference.warp_normalize` describes."""

    name: str

    def __call__(self, plane: DevicePlane, matrices: F32, into: Input, sampling: Sampling) -> None:
        """The context is current; work on the GPU may not be done when this returns."""


class GpuSampler:
    """The kernel of csrc/cuda.

    Args:
        kernels: the extension.
        stream: for the work.
        upload: puts a plane into the calling thread's memory on the GPU.
    """

    name = "gpu"

    def __init__(self, kernels: Any, stream: Stream, upload: Callable[[U8], Pixels]) -> None:
        self._kernels = kernels
        self._stream = stream
        self._upload = upload

    def __call__(self, plane: DevicePlane, matrices: F32, into: Input, sampling: Sampling) -> None:
        if plane.pixels is None:
            plane.pixels = self._upload(plane.host())
        into.matrices.reserve(matrices.nbytes)
        staged = into.matrices.host(matrices.shape, np.float32)
        staged[...] = matrices
        into.matrices.upload(matrices.nbytes)
        try:
            self._kernels.warp_normalize(
                plane.pixels.address,
                plane.shape,
                plane.pixels.row_stride,
                into.matrices.address,
                len(matrices),
                into.address,
                "float32",
                into.shape[2:],
                sampling.mean,
                sampling.scale,
                sampling.border,
                sampling.fill,
                self._stream.handle,
            )
        except RuntimeError as error:
            raise DeviceError(f"the GPU failed: {error}") from error
        into.changed_on_device()


class CpuSampler:
    """The CPU samples into pinned memory; the network's run uploads it."""

    name = "cpu"

    def __call__(self, plane: DevicePlane, matrices: F32, into: Input, sampling: Sampling) -> None:
        mean, scale, border, fill = sampling
        ops.warp_normalize(
            plane.host(), matrices, into.host, mean=mean, scale=scale, border=border, fill=fill
        )
        into.changed()
