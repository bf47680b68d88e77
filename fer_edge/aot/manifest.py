"""The records of `manifest.json` in a folder of ahead-of-time kernels. Standard library only.

The manifest holds everything that a launch needs, so the machine that launches needs neither Triton nor
PyTorch. Each kernel is listed once; the launches of every operation that uses it refer to it by its id.
`fer_edge.kernels.jit` builds its plans from the same `Buffer` and `Axis`.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from fer_edge.models import ModelError
from fer_edge.records import decode

NAME = "manifest.json"
FORMAT = 1
IMAGES = "images"
# Pointer parameters that Triton adds. The loader passes NULL, so the build rejects a kernel that uses them.
HIDDEN = ("global_scratch", "profile_scratch")
BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "i8": 1, "u8": 1}
# A name that matches cannot point outside the folder.
_FILE = re.compile(r"sm_\d+/[A-Za-z0-9_-][A-Za-z0-9_.-]*")

Number = int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file in the folder."""

    name: str  # sm_<number>/<name>
    sha256: str
    size: int  # bytes

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.name):
            raise ModelError(f"{NAME}: a file must be sm_<number>/<name>, got {self.name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A kernel compiled for one compute capability."""

    key: str  # sha256 of all inputs of the compilation
    target: str  # sm_87; cubin and PTX for sm_90a run on compute capability 9.0 only
    ptx_version: str
    assembler: str  # version of the ptxas that made the cubin
    threads: int  # per block, along x
    shared_bytes: int  # dynamic shared memory per block
    registers: int  # per thread
    stack_bytes: int
    spill_bytes: int  # stores plus loads, per thread
    cubin: File
    ptx: File


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A trailing pointer parameter that Triton adds."""

    name: str
    size: int  # bytes; 0 if NULL is passed


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """A pointer parameter; the address is a multiple of 16 bytes."""

    name: str
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel. Its parameters are `pointers` in order, the number of images as int32, and `hidden`."""

    symbol: str
    pointers: tuple[Pointer, ...]
    hidden: tuple[Hidden, ...]
    constants: dict[str, Number]  # compiled in
    num_warps: int
    num_stages: int
    binaries: dict[str, Binary]  # key: compute capability, for example "87"


@dataclass(frozen=True, slots=True)
class Buffer:
    """An array in device memory: role, Triton's name of its dtype, shape.

    "images" in the shape stands for the number of images.
    """

    role: Literal["input", "weight", "scratch", "output"]
    dtype: str
    shape: tuple[int | str, ...]
    channels_last: bool = False  # a shape N, C, H, W is stored as N, H, W, C

    def sides(self, images: int) -> list[int]:
        """Its shape for this number of images."""
        return [images if side == IMAGES else int(side) for side in self.shape]

    def size(self, images: int) -> int:
        """Its size in bytes for this number of images."""
        return math.prod(self.sides(images)) * BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class Axis:
    """Blocks along one axis of a grid: ceil(images * per_image / block)."""

    per_image: int
    block: int = 1


# One to three axes. An int is a number of blocks that does not depend on the number of images.
Grid = tuple[int | Axis, ...]


def blocks_from_grid(grid: Grid, images: int) -> tuple[int, ...]:
    """The number of blocks along each axis for this number of images."""
    return tuple(
        axis if isinstance(axis, int) else -(-images * axis.per_image // axis.block) for axis in grid
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One kernel launch of an operation: the kernel's id, names of buffers as its pointers, and the grid."""

    kernel: str
    pointers: tuple[str, ...]
    grid: Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation for one shape, dtype and layout: its buffers, and its launches in order.

    It takes any number of images. An operation may have several entries for one shape; each is then tuned
    for about `images` images at a time.
    """

    operation: str
    networks: tuple[str, ...]
    shape: dict[str, Number]  # channels, height, width and the settings of the operation
    dtype: str
    channels_last: bool
    images: int | None
    buffers: dict[str, Buffer]
    launches: tuple[Launch, ...]

    def describe(self) -> str:
        """The operation as one line of text."""
        shape = " ".join(f"{name}={value}" for name, value in self.shape.items())
        layout = "channels-last" if self.channels_last else "contiguous"
        images = f" images={self.images}" if self.images else ""
        return f"{self.operation} {shape} {self.dtype} {layout}{images}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of `manifest.json`."""

    format: int
    fer_edge: str
    triton: str
    architectures: tuple[int, ...]
    operations: tuple[Operation, ...]
    kernels: dict[str, Kernel]

    def to_json(self) -> str:
        """The text of the file; equal records give equal bytes."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Reads the text from `to_json`; raises ModelError with the entry and the expected value."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelError(f"{NAME}: expected JSON, got {text[:40]!r} ({error})") from error
        if isinstance(values, dict) and values.get("format") != FORMAT:
            raise ModelError(
                f"{NAME}: format must be {FORMAT}, got {values.get('format')!r}; "
                "build the folder again with export.kernels_ahead_of_time of this version"
            )
        manifest: Manifest = decode(cls, values, NAME)
        _check(manifest)
        return manifest

    def all_binaries(self) -> Iterator[tuple[Kernel, str, Binary]]:
        """Every binary, with its kernel and compute capability."""
        for kernel in self.kernels.values():
            for architecture, binary in kernel.binaries.items():
                yield kernel, architecture, binary


def read(folder: Path) -> Manifest:
    """Reads the manifest of a folder; raises ModelError if it is missing or invalid."""
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{folder} has no readable {NAME} ({error}); build it with export.kernels_ahead_of_time"
        ) from error
    return Manifest.from_json(text)


def _check(manifest: Manifest) -> None:
    """Checks what the types cannot: references resolve and numbers are in range."""
    architectures = [str(architecture) for architecture in manifest.architectures]
    names: set[str] = set()
    for kernel, architecture, binary in manifest.all_binaries():
        for file in (binary.cubin, binary.ptx):
            _require(file.name not in names, f"{file.name} is listed twice")
            names.add(file.name)
        _require(architecture in architectures, f"{kernel.symbol}: sm_{architecture} is not in architectures")
        _require(binary.threads >= 1, f"{kernel.symbol}: threads must be 1 or more, got {binary.threads}")
    for operation in manifest.operations:
        for name, buffer in operation.buffers.items():
            _require(
                buffer.dtype in BYTES, f"{operation.operation}: {name} has unknown dtype {buffer.dtype!r}"
            )
            sides = [side for side in buffer.shape if isinstance(side, str)]
            _require(sides in ([], [IMAGES]), f"{operation.operation}: {name} has the sides {sides}")
        for launch in operation.launches:
            _check_launch(operation, launch, manifest)


def _check_launch(operation: Operation, launch: Launch, manifest: Manifest) -> None:
    where = f"{operation.operation}: kernel {launch.kernel!r}"
    _require(launch.kernel in manifest.kernels, f"{where} is not listed")
    kernel = manifest.kernels[launch.kernel]
    missing = {str(architecture) for architecture in manifest.architectures} - kernel.binaries.keys()
    _require(not missing, f"{where} has no binary for {', '.join(sorted(missing))}")
    given = [operation.buffers[name].dtype for name in launch.pointers if name in operation.buffers]
    expected = [pointer.dtype for pointer in kernel.pointers]
    _require(given == expected, f"{where} takes pointers to {expected}, got {given}")
    _require(1 <= len(launch.grid) <= 3, f"{where} must have one to three axes, got {len(launch.grid)}")
    for axis in launch.grid:
        least = axis if isinstance(axis, int) else min(axis.per_image, axis.block)
        _require(least >= 1, f"{where} must have axes of 1 or more, got {axis}")


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ModelError(f"{NAME}: {problem}")
