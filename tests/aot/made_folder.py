"""Writes a folder of ahead-of-time kernels by hand: files with valid headers and no code, one operation.

tests/export checks the output of Triton; here every field can be chosen, and nothing is compiled.
"""

import hashlib
import struct
from dataclasses import replace
from pathlib import Path

from fer_edge.aot import manifest
from fer_edge.aot.manifest import (
    HIDDEN,
    Axis,
    Binary,
    Buffer,
    File,
    Hidden,
    Kernel,
    Launch,
    Manifest,
    Operation,
    Pointer,
)

THREADS = 64
SHARED = {"first": 1024, "second": 50 * 1024}
POINTERS = {
    "first": (("x", "fp16"), ("between", "fp32")),
    "second": (("between", "fp32"), ("weight", "fp16"), ("y", "fp16")),
}
BUFFERS = {
    "x": Buffer(role="input", dtype="fp16", shape=("images", 16, 3, 3), channels_last=False),
    "between": Buffer(role="scratch", dtype="fp32", shape=("images", 9), channels_last=False),
    "weight": Buffer(role="weight", dtype="fp16", shape=(16,), channels_last=False),
    "y": Buffer(role="output", dtype="fp16", shape=("images", 16), channels_last=False),
}
SHAPE = {"channels": 16, "height": 3, "width": 3}


def elf(architecture: int, symbol: str, machine: int = 190) -> bytes:
    """The parts of a cubin that are read: header, sections, symbols; the newer layout from sm_100."""
    strings = b"\0" + symbol.encode() + b"\0"
    symbols = bytes(24) + struct.pack("<IBBHQQ", 1, 0x12, 0, 1, 0, 0)
    symbols_at = 64 + len(strings)
    sections_at = symbols_at + len(symbols)
    abi, flags = (8, architecture << 8 | 2) if architecture >= 100 else (7, architecture)
    head = b"\x7fELF\2\1\1\x33" + bytes([abi]) + bytes(7)
    head += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 0, sections_at, flags, 64, 56, 0, 64, 3, 1)
    sections = [(0, 0, 0, 0, 0), (3, 64, len(strings), 0, 0), (2, symbols_at, len(symbols), 1, 24)]
    table = [struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, *at, 0, 0, size) for kind, *at, size in sections]
    return head + strings + symbols + b"".join(table)


def ptx(target: str, symbol: str, version: str = "8.0", threads: int = THREADS) -> bytes:
    """The header of the PTX of a kernel."""
    types = ["u64"] * len(POINTERS[symbol]) + ["u32", "u64", "u64"]
    parameters = ",\n".join(f"\t.param .{kind} {symbol}_param_{i}" for i, kind in enumerate(types))
    return (
        f".version {version}\n.target {target}\n.address_size 64\n"
        f".visible .entry {symbol}(\n{parameters}\n)\n.reqntid {threads}\n{{\n\tret;\n}}\n"
    ).encode()


def write(folder: Path, architectures: tuple[int, ...] = (75, 87, 90, 110)) -> Manifest:
    """Writes the files and the manifest of one operation with two launches."""
    kernels = {
        f"{symbol}-0123": Kernel(
            symbol=symbol,
            pointers=tuple(Pointer(name=name, dtype=dtype) for name, dtype in pointers),
            hidden=tuple(Hidden(name=name, size=0) for name in HIDDEN),
            constants={"channels": 16, "epsilon": 1e-5, "wide": True},
            num_warps=2,
            num_stages=3,
            binaries={str(a): write_binary(folder, symbol, a) for a in architectures},
        )
        for symbol, pointers in POINTERS.items()
    }
    operation = Operation(
        operation="attention",
        networks=("tiny",),
        shape=SHAPE,
        dtype="fp16",
        channels_last=False,
        images=None,
        buffers=BUFFERS,
        launches=tuple(
            Launch(kernel=f"{symbol}-0123", pointers=tuple(name for name, _ in POINTERS[symbol]), grid=grid)
            for symbol, grid in (
                ("first", (Axis(per_image=9, block=16), 5)),
                ("second", (Axis(per_image=1, block=1),)),
            )
        ),
    )
    made = Manifest(
        format=manifest.FORMAT,
        fer_edge="0.1.0",
        triton="3.7.1",
        architectures=architectures,
        operations=(operation,),
        kernels=kernels,
    )
    return write_manifest(folder, made)


def write_binary(folder: Path, symbol: str, architecture: int) -> Binary:
    """Writes cubin and PTX of a kernel and returns their record in the manifest."""
    target = f"sm_{architecture}{'a' if architecture >= 90 else ''}"
    return Binary(
        key=f"{symbol}-{architecture}",
        target=target,
        ptx_version="8.0",
        assembler="12.8",
        threads=THREADS,
        shared_bytes=SHARED[symbol],
        registers=32,
        stack_bytes=0,
        spill_bytes=0,
        cubin=write_file(folder, f"sm_{architecture}/{symbol}.cubin", elf(architecture, symbol)),
        ptx=write_file(folder, f"sm_{architecture}/{symbol}.ptx", ptx(target, symbol)),
    )


def write_file(folder: Path, name: str, content: bytes) -> File:
    """Writes a file and returns its record in the manifest."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return File(name=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def write_manifest(folder: Path, made: Manifest) -> Manifest:
    """Writes the manifest and returns it."""
    (folder / manifest.NAME).write_text(made.to_json(), encoding="utf-8")
    return made


def with_binary(made: Manifest, kernel: str, architecture: str, **changes: object) -> Manifest:
    """The manifest with some fields of one binary replaced."""
    entry = made.kernels[kernel]
    binaries = entry.binaries | {architecture: replace(entry.binaries[architecture], **changes)}
    return replace(made, kernels=made.kernels | {kernel: replace(entry, binaries=binaries)})
