"""What a cubin and a PTX text say about themselves, read without CUDA.

A cubin is an ELF file; the fields that matter are those of the System V ABI, with the machine number EM_CUDA
and NVIDIA's two layouts of e_flags, as LLVM's ELF definitions list them.
"""

import re
import struct
from dataclasses import dataclass

from fer_edge.models import ModelError

_MACHINE_CUDA = 190
# Layout of e_flags by the ABI version: how far to shift for the compute capability, which is one byte.
_SHIFTS = {7: 0, 8: 8}
_SYMBOLS = 2  # SHT_SYMTAB
_GLOBAL_FUNCTION = 0x12
_ENTRY = re.compile(r"\.visible \.entry (\w+)\(([^)]*)\)\s*\.reqntid (\d+)")


@dataclass(frozen=True, slots=True)
class Cubin:
    """The compute capability (87) and the global functions of a cubin."""

    architecture: int
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ptx:
    """The head of a PTX text with one kernel."""

    version: str  # "8.0"
    target: str  # "sm_87"
    entry: str
    parameters: tuple[str, ...]  # "u64" or "u32"
    threads: int


def cubin_from_bytes(data: bytes) -> Cubin:
    """Reads the header and the symbols; raises ModelError where this is no cubin."""
    try:
        magic, abi, machine, flags = data[:7], data[8], *_unpack("<18xH28xI", data, 0)
        if magic != b"\x7fELF\x02\x01\x01" or machine != _MACHINE_CUDA or abi not in _SHIFTS:
            raise ModelError(f"expected a CUDA ELF file, got {data[:20].hex(' ')}")
        return Cubin(flags >> _SHIFTS[abi] & 0xFF, tuple(_functions(data)))
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise ModelError(f"the ELF file is cut short or damaged ({error})") from error


def ptx_from_text(text: str) -> Ptx:
    """Reads version, target and entry; raises ModelError unless each is there once."""
    version = re.search(r"^\.version (\d+\.\d+)$", text, re.MULTILINE)
    target = re.search(r"^\.target (sm_\d+[a-z]?)$", text, re.MULTILINE)
    entries = _ENTRY.findall(text)
    if not (version and target and len(entries) == 1):
        raise ModelError(f"expected PTX with .version, .target and one .entry, got {text[:60]!r}")
    name, parameters, threads = entries[0]
    return Ptx(version[1], target[1], name, tuple(re.findall(r"\.param \.(\w+)", parameters)), int(threads))


def _functions(data: bytes) -> list[str]:
    """Names of the global functions in the symbol table."""
    (begin,) = _unpack("<40xQ", data, 0)
    size, count = _unpack("<58xHH", data, 0)
    # Of each section: type, offset, size, and the section with its strings.
    sections = [_unpack("<4xI16xQQI20x", data, begin + i * size) for i in range(count)]
    names = []
    for kind, offset, length, link in sections:
        if kind != _SYMBOLS:
            continue
        strings = data[sections[link][1] :][: sections[link][2]]
        for place in range(offset, offset + length, 24):
            name, info = _unpack("<IB", data, place)
            if info == _GLOBAL_FUNCTION:
                names.append(strings[name : strings.index(b"\0", name)].decode("ascii"))
    return names


def _unpack(layout: str, data: bytes, offset: int) -> tuple[int, ...]:
    return struct.unpack_from(layout, data, offset)
