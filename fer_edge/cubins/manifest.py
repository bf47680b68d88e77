"""What lies in a folder of ahead-of-time kernels: `manifest.json` as records. Standard library only.

The manifest holds all that a launch needs, so that the machine that launches has neither Triton nor PyTorch.
A kernel is listed once and named by the launches of every operation that uses it.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fer_edge.models import ModelError

NAME = "manifest.json"
FORMAT = 1
IMAGES = "images"
# The loader passes NULL for them: a binary that needs such memory is not written.
HIDDEN = ("global_scratch", "profile_scratch")
BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "i8": 1, "u8": 1}
# No name leads out of the folder.
_FILE = re.compile(r"sm_\d+/[A-Za-z0-9_-][A-Za-z0-9_.-]*")

Number = int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of the folder."""

    name: str  # sm_<number>/<name>
    sha256: str
    size: int  # bytes

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.name):
            raise ModelError(f"{NAME}: a file must be sm_<number>/<name>, got {self.name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A kernel for one compute capability."""

    key: str  # sha256 of everything that it was compiled from
    target: str  # sm_87; sm_90a runs on 9.0 only, its PTX too
    ptx_version: str
    assembler: str  # version of the ptxas that made the cubin
    threads: int  # of a block, along x
    shared_bytes: int  # dynamic shared memory of a block
    registers: int  # of a thread
    stack_bytes: int
    spill_bytes: int  # stores and loads
    cubin: File
    ptx: File


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A trailing pointer parameter that Triton adds."""

    name: str
    size: int  # bytes; 0: NULL is passed


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """A pointer parameter; what it points to begins at a multiple of 16 bytes."""

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
    binaries: dict[str, Binary]  # by compute capability: "87"


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """An array in device memory; "images" stands in its shape for the number of images."""

    role: Literal["input", "weight", "scratch", "output"]
    dtype: str
    shape: tuple[int | str, ...]
    channels_last: bool  # the four axes N, C, H, W lie in memory as N, H, W, C

    def size(self, images: int) -> int:
        """Its bytes for so many images."""
        return math.prod(images if side == IMAGES else int(side) for side in self.shape) * BYTES[self.dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Blocks along one axis of a grid: ceil(images * per_image / block)."""

    per_image: int
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A kernel on some of an operation's buffers; a number in the grid does not depend on the images."""

    kernel: str
    pointers: tuple[str, ...]
    grid: tuple[int | Axis, ...]

    def blocks(self, images: int) -> tuple[int, ...]:
        """The grid for so many images, one to three axes."""
        return tuple(
            axis if isinstance(axis, int) else -(-images * axis.per_image // axis.block) for axis in self.grid
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation for one shape, dtype and layout: its buffers, and what to launch in this order.

    It takes any number of images; where several were compiled, each is made for about `images` at a time.
    """

    operation: str
    networks: tuple[str, ...]
    shape: dict[str, Number]  # channels, height, width and the operation's own
    dtype: str
    channels_last: bool
    images: int | None
    buffers: dict[str, Buffer]
    launches: tuple[Launch, ...]


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
        """The text of the file; the same records give the same bytes."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Reads what `to_json` wrote; raises ModelError that names the entry, the expected and the given."""
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

    def files(self) -> Iterator[tuple[Kernel, str, Binary]]:
        """Every binary with its kernel and compute capability."""
        for kernel in self.kernels.values():
            for architecture, binary in kernel.binaries.items():
                yield kernel, architecture, binary


def read(folder: Path) -> Manifest:
    """Reads a folder's manifest; raises ModelError where it is missing or makes no sense."""
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{folder} has no readable {NAME} ({error}); build it with export.kernels_ahead_of_time"
        ) from error
    return Manifest.from_json(text)


def decode(kind: Any, value: Any, where: str) -> Any:
    """A JSON value as the annotated type: records, tuples, mappings, literals, alternatives and scalars."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(value, dict):
        hints, names = get_type_hints(kind), [field.name for field in fields(kind)]
        if set(names) != value.keys():
            raise ModelError(f"{where}: fields must be {', '.join(names)}, got {', '.join(map(str, value))}")
        record: Any = kind
        return record(**{name: decode(hints[name], value[name], f"{where}: {name}") for name in names})
    if origin is tuple and isinstance(value, list):
        return tuple(decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: decode(arguments[1], item, f"{where}[{key!r}]") for key, item in value.items()}
    if origin is Literal and value in arguments:
        return value
    if origin is UnionType:
        for member in arguments:
            # In JSON only a record is an object, and true is no number.
            if type(value) is (dict if is_dataclass(member) else member):
                return decode(member, value, where)
    if type(value) is kind:
        return value
    raise ModelError(f"{where}: expected {getattr(kind, '__name__', kind)}, got {value!r:.60}")


def _check(manifest: Manifest) -> None:
    """What the types do not say: that references resolve and numbers make sense."""
    architectures = [str(architecture) for architecture in manifest.architectures]
    names: set[str] = set()
    for kernel, architecture, binary in manifest.files():
        for file in (binary.cubin, binary.ptx):
            _must(file.name not in names, f"{file.name} is listed twice")
            names.add(file.name)
        _must(architecture in architectures, f"{kernel.symbol}: sm_{architecture} is not in architectures")
        _must(binary.threads >= 1, f"{kernel.symbol}: threads must be 1 or more, got {binary.threads}")
    for operation in manifest.operations:
        for name, buffer in operation.buffers.items():
            _must(buffer.dtype in BYTES, f"{operation.operation}: {name} has unknown dtype {buffer.dtype!r}")
            sides = [side for side in buffer.shape if isinstance(side, str)]
            _must(sides in ([], [IMAGES]), f"{operation.operation}: {name} has the sides {sides}")
        for launch in operation.launches:
            _check_launch(operation, launch, manifest)


def _check_launch(operation: Operation, launch: Launch, manifest: Manifest) -> None:
    where = f"{operation.operation}: kernel {launch.kernel!r}"
    _must(launch.kernel in manifest.kernels, f"{where} is not listed")
    kernel = manifest.kernels[launch.kernel]
    missing = {str(architecture) for architecture in manifest.architectures} - kernel.binaries.keys()
    _must(not missing, f"{where} has no binary for {', '.join(sorted(missing))}")
    given = [operation.buffers[name].dtype for name in launch.pointers if name in operation.buffers]
    expected = [pointer.dtype for pointer in kernel.pointers]
    _must(given == expected, f"{where} takes pointers to {expected}, got {given}")
    _must(1 <= len(launch.grid) <= 3, f"{where} must have one to three axes, got {len(launch.grid)}")
    for axis in launch.grid:
        least = axis if isinstance(axis, int) else min(axis.per_image, axis.block)
        _must(least >= 1, f"{where} must have axes of 1 or more, got {axis}")


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ModelError(f"{NAME}: {otherwise}")
