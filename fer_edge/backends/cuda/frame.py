"""The luma plane of a frame on its way to the GPU, and frames that are there already."""

import ctypes
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_edge.arrays import U8
from fer_edge.backends.cuda.device import LIBRARY, DeviceError, Stream

# DLDeviceType of dlpack.h: kDLCUDA, kDLCUDAManaged. All GPUs read managed memory.
_DLPACK_MANAGED = 13
_DLPACK_CUDA = (2, _DLPACK_MANAGED)
_DLPACK_NAME = b"dltensor"


@dataclass(slots=True)
class Pixels:
    """A plane uint8 [H, W] in the memory of the GPU.

    `owner` keeps the memory; it is None if the plane lies in memory that is reused.
    """

    address: int
    shape: tuple[int, int]
    row_stride: int
    owner: Any = None


class DevicePlane:
    """The luma plane of one frame, uploaded once, at its first use.

    Args:
        host: the plane on the CPU; None if the frame came on the GPU.
        pixels: the plane on the GPU; None if the frame came on the CPU.
        stream: for the download.
        exclusive: makes the stream the calling thread's own, see Session.
    """

    def __init__(
        self,
        host: U8 | None,
        pixels: Pixels | None,
        stream: Stream,
        exclusive: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._host = host
        self.pixels = pixels
        self._stream = stream
        self._exclusive = exclusive

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""
        return self.pixels.shape if self._host is None and self.pixels else self.host().shape

    def host(self) -> U8:
        """The plane on the CPU, downloaded if it came on the GPU."""
        if self._host is None:
            assert self.pixels is not None
            height, width = self.pixels.shape
            rows = np.empty((height, self.pixels.row_stride), np.uint8)
            # The last row may end before its stride does.
            flat = rows.reshape(-1)[: (height - 1) * self.pixels.row_stride + width]
            with self._exclusive():
                self._stream.download(flat, self.pixels.address)
                self._stream.wait_for(self._stream.mark())
            self._host = rows[:, :width]
        return self._host


def is_on_gpu(frame: Any) -> bool:
    """Whether a frame is an array in the memory of a GPU."""
    if hasattr(frame, "__cuda_array_interface__"):
        return True
    return hasattr(frame, "__dlpack_device__") and frame.__dlpack_device__()[0] in _DLPACK_CUDA


def pixels_from_array(frame: Any, layout: str | None, stream: Stream, gpu: int) -> Pixels:
    """Returns the luma plane of an array on the GPU; the stream waits for the array's producer.

    Args:
        frame: the array.
        layout: of its pixels.
        stream: on which it will be used.
        gpu: the number of the stream's GPU.

    Raises:
        TypeError: it is not uint8.
        ValueError: it is not a grey or NV12 frame with contiguous rows, or is on another GPU.
        DeviceError: the work of its producer failed.
    """
    _check_gpu(frame, gpu)
    array = _array(frame, stream)
    got = f"{array.kind} {list(array.shape)}"
    if array.kind not in ("|u1", "<u1", "u1"):
        raise TypeError(f"a frame on the GPU must be uint8 [H, W], got {got}; cast it there")
    if layout not in (None, "grey", "nv12") or len(array.shape) != 2 or 0 in array.shape:
        raise ValueError(
            "a frame on the GPU must be uint8 [H, W] grey, or NV12 [H * 3 / 2, W] with layout='nv12', got "
            f"{got} with layout {layout!r}; convert it there, or copy it to the CPU"
        )
    height, width = array.shape
    row, step = array.strides or (width, 1)
    if layout == "nv12":
        if height % 3 or width % 2:
            raise ValueError(f"an NV12 frame must be uint8 [H * 3 / 2, W] with even H and W, got {got}")
        height = height * 2 // 3
    if (step != 1 and width > 1) or row < width:
        raise ValueError(
            f"a frame on the GPU must have contiguous rows, got strides {row, step}; copy it there"
        )
    return Pixels(array.address, (height, width), row, array.owner)


def _check_gpu(frame: Any, gpu: int) -> None:
    """The CUDA array interface does not name the GPU."""
    if not hasattr(frame, "__dlpack_device__"):
        return
    kind, number = frame.__dlpack_device__()
    if kind != _DLPACK_MANAGED and number != gpu:
        raise ValueError(
            f"a frame on a GPU must be on GPU {gpu}, where the networks run, got one on GPU {number}; copy "
            "it there, or to the CPU"
        )


@dataclass(frozen=True, slots=True)
class _Array:
    """What an array on the GPU says of itself; strides in bytes, None if contiguous."""

    address: int
    kind: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    owner: Any


def _array(frame: Any, stream: Stream) -> _Array:
    """DLPack first: its producer lets our stream wait, and PyTorch's other interface names no stream."""
    if not hasattr(frame, "__dlpack__"):
        facts: dict[str, Any] = frame.__cuda_array_interface__
        _wait_for_producer(facts)
        return _Array(facts["data"][0], facts["typestr"], tuple(facts["shape"]), facts.get("strides"), frame)
    capsule = frame.__dlpack__(stream=stream.handle)
    tensor = _tensor_from_capsule(capsule)
    kind = "|u1" if tensor.is_uint8() else f"DLPack type {tensor.code}, {tensor.bits} bits"
    address = int(tensor.data or 0) + int(tensor.byte_offset)
    return _Array(address, kind, tensor.sides(), tensor.steps(), capsule)


def _wait_for_producer(facts: dict[str, Any]) -> None:
    """As version 3 of the interface asks. Before that it names no stream, so all are waited for."""
    library, stream = ctypes.CDLL(LIBRARY), facts.get("stream")
    error = 0
    if facts["version"] < 3:
        error = library.cuCtxSynchronize()
    elif stream is not None:
        error = library.cuStreamSynchronize(ctypes.c_void_p(stream))
    if error:
        raise DeviceError(f"the work of the frame's producer failed: CUDA error {error}")


class _Tensor(ctypes.Structure):
    """DLTensor of dlpack.h, the beginning of DLManagedTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )

    def is_uint8(self) -> bool:
        return (self.code, self.bits, self.lanes) == (1, 8, 1)

    def sides(self) -> tuple[int, ...]:
        return tuple(self.shape[: self.ndim])

    def steps(self) -> tuple[int, ...] | None:
        return tuple(self.strides[: self.ndim]) if self.strides else None


def _tensor_from_capsule(capsule: Any) -> _Tensor:
    """The tensor in a capsule, which stays unconsumed: it frees the memory when it is deleted."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return _Tensor.from_address(get(capsule, _DLPACK_NAME))
