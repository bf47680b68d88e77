"""The kernels of csrc/cuda on the CPU: built with csrc/cuda/emulator, with the functions of `fer_edge._cuda`.

csrc/cuda/emulator/scheduler.h lists what the emulator checks and its limits.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from cuda_emulator_build import library
from torch import Tensor

SHARED_LIMIT = 227 * 1024
ORDERS = ("forward", "backward", "shuffled")
DTYPES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16", torch.int8: "int8"}
CODES = {name: code for code, name in enumerate(("float32", "float16", "bfloat16", "int8"))}
Shape = tuple[int, int, int, int]


class EmulatedError(RuntimeError):
    """A launch that the emulator rejected, with the reason."""


class Map(ctypes.Structure):
    """As in csrc/cuda/ops.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in ("images", "channels", "height", "width")),
        ("channels_last", ctypes.c_bool),
        ("dtype", ctypes.c_int32),
    )


class Dcif(ctypes.Structure):
    """`DcifWeights` of csrc/cuda/ops.h."""

    _fields_ = (("weights", ctypes.c_void_p * 5), ("hidden", ctypes.c_int32))


class Plane(ctypes.Structure):
    """As in csrc/cuda/ops.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("stride", ctypes.c_int64),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
    )


class Pictures(ctypes.Structure):
    """As in csrc/cuda/ops.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in ("count", "height", "width", "dtype")),
        *((name, ctypes.c_float) for name in ("mean", "scale", "fill")),
        ("edge", ctypes.c_bool),
    )


class Emulator:
    """One operation in one order, and guarded memory for its arrays.

    Args:
        operation: name of the file in csrc/cuda.
        order: the order of blocks, warps and lanes. Arrays end at a guard page in forward and shuffled order,
            and begin after one in backward order.
        shared_limit: maximum shared memory of a block, in bytes.
        architecture: compute capability of the emulated device, 750 for 7.5.
    """

    def __init__(
        self,
        operation: str,
        order: Literal["forward", "backward", "shuffled"] = "forward",
        shared_limit: int = SHARED_LIMIT,
        architecture: int = 900,
    ) -> None:
        self._library = library(operation, architecture)
        self._order = ORDERS.index(order)
        self._shared_limit = shared_limit
        self._memory: list[int] = []

    def __enter__(self) -> "Emulator":
        return self

    def __exit__(self, *_: object) -> None:
        for memory in self._memory:
            self._library.emulator_release(memory)

    def empty(self, shape: Sequence[int], dtype: torch.dtype, channels_last: bool = False) -> Tensor:
        """A guarded tensor, full of NaN (-1 for integers); invalid after the emulator is closed."""
        count = torch.Size(shape).numel()
        size = max(count * dtype.itemsize, 1)
        memory = self._library.emulator_allocate(size, self._order != ORDERS.index("backward"))
        self._memory.append(memory)
        flat = torch.frombuffer((ctypes.c_char * size).from_address(memory), dtype=torch.uint8)
        values = flat[: count * dtype.itemsize].view(dtype)
        if not channels_last:
            return values.view(*shape)
        n, channels, height, width = shape
        return values.view(n, height, width, channels).permute(0, 3, 1, 2)

    def put(self, tensor: Tensor) -> Tensor:
        """A guarded copy, channels-last if the tensor is (and not contiguous as well)."""
        last = not tensor.is_contiguous()
        return self.empty(tensor.shape, tensor.dtype, channels_last=last).copy_(tensor.detach())

    def dcif(
        self,
        x: int,
        shape: Shape,
        dtype: str,
        channels_last: bool,
        weights: Sequence[int],
        hidden: int,
        out: int,
        stream: int = 0,
    ) -> None:
        """As `fer_edge._cuda.dcif`."""
        given = Dcif((ctypes.c_void_p * 5)(*weights), hidden)
        self.run("dcif", _map(x, shape, dtype, channels_last), given, out, stream)

    def multi_branch_attention(
        self,
        z: int,
        shape: Shape,
        dtype: str,
        channels_last: bool,
        weights: Sequence[int],
        scale: int,
        local: int,
        out: int,
        stream: int = 0,
    ) -> None:
        """As `fer_edge._cuda.multi_branch_attention`."""
        given = (ctypes.c_void_p * 10)(*weights)
        described = _map(z, shape, dtype, channels_last)
        self.run("multi_branch_attention", described, given, scale, local, out, stream)

    def token_attention(
        self,
        x: int,
        shape: Shape,
        dtype: str,
        channels_last: bool,
        weights: Sequence[int],
        heads: int,
        epsilon: float,
        qkv: int,
        mixed: int,
        out: int,
        stream: int = 0,
    ) -> None:
        """As `fer_edge._cuda.token_attention`."""
        given = (ctypes.c_void_p * 6)(*weights)
        described = _map(x, shape, dtype, channels_last)
        self.run(
            "token_attention",
            described,
            given,
            ctypes.c_int32(heads),
            ctypes.c_float(epsilon),
            qkv,
            mixed,
            out,
            stream,
        )

    def warp_normalize(
        self,
        plane: int,
        size: tuple[int, int],
        row_stride: int,
        matrices: int,
        count: int,
        out: int,
        dtype: str,
        out_size: tuple[int, int],
        mean: float,
        scale: float,
        border: str,
        fill: float,
        stream: int = 0,
    ) -> None:
        """As `fer_edge._cuda.warp_normalize`."""
        source = Plane(plane, row_stride, *size)
        made = Pictures(out, count, *out_size, CODES[dtype], mean, scale, fill, border == "edge")
        self.run("warp_normalize", source, matrices, made, stream)

    def run(self, function: str, *arguments: object) -> None:
        """Calls a function of the library; structures go by reference, integers are addresses.

        Raises:
            EmulatedError: a launch was rejected or failed.
        """
        self._library.emulator_configure(self._order, 1, self._shared_limit)
        converted = [
            ctypes.byref(argument)
            if isinstance(argument, ctypes.Structure | ctypes.Array)
            else ctypes.c_void_p(argument)
            if isinstance(argument, int)
            else argument
            for argument in arguments
        ]
        error = getattr(self._library, function)(*converted)
        if error:
            raise EmulatedError(f"CUDA error {error}: {self._library.emulator_message().decode()}")


def _map(data: int, shape: Shape, dtype: str, channels_last: bool) -> Map:
    return Map(data, *shape, channels_last, CODES[dtype])


def in_every_order(operation: str, compute: Callable[[Emulator], Tensor], **settings: int) -> Tensor:
    """The result of `compute`, bitwise equal in each order; a difference is a race condition."""
    results = []
    for order in ORDERS:
        with Emulator(operation, order, **settings) as emulator:
            results.append(compute(emulator).clone())
    for order, result in zip(ORDERS[1:], results[1:], strict=True):
        same = torch.equal(result.view(torch.uint8), results[0].view(torch.uint8))
        assert same, f"{operation}: {order} differs from forward"
    return results[0]
