"""Reads architecture and kernels from the headers of cubin and PTX files, without CUDA.

A cubin is an ELF file (System V ABI) with the machine number EM_CUDA. NVIDIA uses two layouts of e_flags;
both are listed in the ELF definitions of LLVM.
"""

import re
import struct
from dataclasses import dataclass

from fer_edge.models import ModelError

_MACHINE_CUDA = 190
# ABI version -> right shift of e_flags that gives the compute capability, which is one byte.
_SHIFTS = {7: 0, 8: 8}
_SYMBOLS = 2  # SHT_SYMTAB
_GLOBAL_FUNCTION = 0x12
_ENTRY = re.compile(r"\.visible \.entry (\w+)\(([^)]*)\)\s*\.reqntid (\d+)")


@dataclass(frozen=True, slots=True)
class Cubin:
    """The compute capability (for example 87) and the global functions of a cubin."""

    architecture: int
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ptx:
    """The header fields of a PTX file with one kernel."""

    version: str  # "8.0"
    target: str  # "sm_87"
    entry: str
    parameters: tuple[str, ...]  # "u64" or "u32"
    threads: int


def cubin_from_bytes(data: bytes) -> Cubin:
    """Reads the header and the symbol table; raises ModelError if the bytes are not a cubin."""
    try:
        magic, abi, machine, flags = data[:7], data[8], *_unpack("<18xH28xI", data, 0)
        if magic != b"\x7fELF\x02\x01\x01" or machine != _MACHINE_CUDA or abi not in _SHIFTS:
            raise ModelError(f"expected a CUDA ELF file, got {data[:20].hex(' ')}")
        return Cubin(flags >> _SHIFTS[abi] & 0xFF, tuple(_functions(data)))
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise ModelError(f"the ELF file is cut short or damaged ({error})") from error


def ptx_from_text(text: str) -> Ptx:
    """Reads version, target and entry; raises ModelError unless there is exactly one of each."""
    version = re.search(r"^\.version (\d+\.\d+)$", text, re.MULTILINE)
    target = re.search(r"^\.target (sm_\d+[a-z]?)$", text, re.MULTILINE)
    entries = _ENTRY.findall(text)
    if not (version and target and len(entries) == 1):
        raise ModelError(f"expected PTX with .version, .target and one .entry, got {text[:60]!r}")
    name, parameters, threads = entries[0]
    return Ptx(version[1], target[1], name, tuple(re.findall(r"\.param \.(\w+)", parameters)), int(threads))


def _functions(data: bytes) -> list[str]:
    """The names of the global functions in the symbol table."""
    (table_offset,) = _unpack("<40xQ", data, 0)
    size, count = _unpack("<58xHH", data, 0)
    # For each section: type, offset, size, and the index of the section with its strings.
    sections = [_unpack("<4xI16xQQI20x", data, table_offset + i * size) for i in range(count)]
    names = []
    for kind, offset, length, link in sections:
        if kind != _SYMBOLS:
            continue
        strings = data[sections[link][1] :][: sections[link][2]]
        for entry in range(offset, offset + length, 24):
            name, info = _unpack("<IB", data, entry)
            if info == _GLOBAL_FUNCTION:
                names.append(strings[name : strings.index(b"\0", name)].decode("ascii"))
    return names


def _unpack(layout: str, data: bytes, offset: int) -> tuple[int, ...]:
    return struct.unpack_from(layout, data, offset)
