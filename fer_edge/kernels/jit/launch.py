"""Launch plans: the buffers and kernel launches of an operation, for one shape and dtype.

Triton launches a plan in this process. `export.kernels_ahead_of_time` compiles the same plan for a machine
without Triton, so both run the same kernels. The only run-time scalar of every kernel is the number of
images. The shapes of a network are fixed, so they are compile-time constants.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fer_edge.aot.manifest import Buffer, Grid, blocks_from_grid

# name in Triton -> torch
DTYPES = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "i8": torch.int8,
    "u8": torch.uint8,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class TritonLaunch:
    """One kernel launch of a plan.

    The parameters of the kernel are ``pointers`` in order, the number of images, and ``constants``.
    """

    kernel: Any  # a triton.jit function with do_not_specialize=["images"]
    pointers: tuple[str, ...]  # names of the plan's buffers; the kernel's parameters have the same names
    grid: Grid
    constants: Mapping[str, int | float | bool]
    num_warps: int = 4
    num_stages: int = 3
    # Per thread. Without a limit ptxas may spill registers so that more blocks share a multiprocessor.
    max_registers: int | None = None


@dataclass(frozen=True)
class Plan:
    """An operation for one shape, dtype and memory format."""

    operation: str
    buffers: Mapping[str, Buffer]
    launches: tuple[TritonLaunch, ...]

    def empty_tensor(self, name: str, images: int, device: torch.device) -> Tensor:
        """Uninitialised memory for a buffer."""
        buffer = self.buffers[name]
        layout = torch.channels_last if buffer.channels_last else torch.contiguous_format
        dtype = DTYPES[buffer.dtype]
        return torch.empty(buffer.sides(images), dtype=dtype, device=device, memory_format=layout)

    def run(self, images: int, **given: Tensor) -> dict[str, Tensor]:
        """Launches the kernels on the current stream and returns the outputs by name.

        ``given`` holds the inputs and weights, in the layout of their buffers. Scratch and outputs that are
        not given are allocated. Nothing is checked here. With zero images nothing is launched.
        """
        device = next(iter(given.values())).device
        tensors = {
            name: given[name] if name in given else self.empty_tensor(name, images, device)
            for name in self.buffers
        }
        # Triton launches on the current device, which may differ from the device of the tensors.
        with torch.cuda.device(device if device.type == "cuda" else -1):
            for launch in self.launches if images else ():
                launch.kernel[blocks_from_grid(launch.grid, images)](
                    *(tensors[name] for name in launch.pointers),
                    images,
                    **launch.constants,
                    num_warps=launch.num_warps,
                    num_stages=launch.num_stages,
                    maxnreg=launch.max_registers,
                )
        return {name: tensors[name] for name, buffer in self.buffers.items() if buffer.role == "output"}
