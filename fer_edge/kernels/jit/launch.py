"""What is launched, as data: an operation's buffers and kernels, for one shape and dtype.

The same plan is launched by Triton in this process and compiled ahead of time for a machine that has no
Triton, so the two cannot drift apart. A plan holds everything but the number of images, which is the only
run-time scalar of every kernel: shapes of a network are fixed, so they are compile-time constants.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Role = Literal["input", "weight", "scratch", "output"]
# name in Triton -> torch
DTYPES = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "i8": torch.int8,
    "u8": torch.uint8,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
IMAGES = "images"


@dataclass(frozen=True)
class Buffer:
    """An array: its role, Triton's name of its dtype, its shape with "images" for the number of images.

    ``channels_last`` says that a shape of four axes lies in memory as [N, H, W, C].
    """

    role: Role
    dtype: str
    shape: tuple[int | str, ...]
    channels_last: bool = False

    def empty(self, images: int, device: torch.device) -> Tensor:
        """Uninitialised memory of this shape."""
        shape = [images if side == IMAGES else int(side) for side in self.shape]
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return torch.empty(shape, dtype=DTYPES[self.dtype], device=device, memory_format=layout)


@dataclass(frozen=True)
class Axis:
    """Programs along one axis of a grid: ceil(images * per_image / block)."""

    per_image: int
    block: int = 1

    def programs(self, images: int) -> int:
        """Their number for so many images."""
        return -(-images * self.per_image // self.block)


@dataclass(frozen=True)
class Launch:
    """One kernel of a plan. The kernel's parameters are ``pointers`` in order, ``images``, ``constants``.

    ``grid`` has one to three axes; an integer is a count that does not depend on the images.
    """

    kernel: Any  # a triton.jit function with do_not_specialize=["images"]
    pointers: tuple[str, ...]  # names of the plan's buffers, which are the kernel's parameter names too
    grid: tuple[Axis | int, ...]
    constants: Mapping[str, int | float | bool]
    num_warps: int = 4
    num_stages: int = 3
    # Of a thread. Without it ptxas may spill some to have more blocks share a multiprocessor.
    max_registers: int | None = None

    def programs(self, images: int) -> tuple[int, ...]:
        """The grid for so many images."""
        return tuple(axis.programs(images) if isinstance(axis, Axis) else axis for axis in self.grid)


@dataclass(frozen=True)
class Plan:
    """An operation for one shape, dtype and memory format."""

    operation: str
    buffers: Mapping[str, Buffer]
    launches: tuple[Launch, ...]

    def run(self, images: int, **given: Tensor) -> dict[str, Tensor]:
        """Launches the kernels on the current stream; returns the outputs by name.

        ``given`` are the inputs and weights, laid out as the buffers say; scratch and outputs that are not
        given are allocated. Nothing is checked here. Zero images launch nothing.
        """
        device = next(iter(given.values())).device
        tensors = {
            name: given[name] if name in given else buffer.empty(images, device)
            for name, buffer in self.buffers.items()
        }
        # Triton launches on the current device, which need not be the tensors'.
        with torch.cuda.device(device if device.type == "cuda" else -1):
            for launch in self.launches if images else ():
                launch.kernel[launch.programs(images)](
                    *(tensors[name] for name in launch.pointers),
                    images,
                    **launch.constants,
                    num_warps=launch.num_warps,
                    num_stages=launch.num_stages,
                    maxnreg=launch.max_registers,
                )
        return {name: tensors[name] for name, buffer in self.buffers.items() if buffer.role == "output"}
