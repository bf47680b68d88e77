"""Compares a folder of ahead-of-time kernels with its manifest; needs neither a GPU nor CUDA."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from fer_edge.aot.binaries import cubin_from_bytes, ptx_from_text
from fer_edge.aot.manifest import NAME, Binary, File, Kernel, Manifest
from fer_edge.models import ModelError


def problems(folder: Path, manifest: Manifest) -> list[str]:
    """One line for each file that is missing, changed, different from its entry, or not listed."""
    found: list[str] = []
    listed = {NAME}
    for kernel, architecture, binary in manifest.all_binaries():
        listed |= {binary.cubin.name, binary.ptx.name}
        found += _problem_lines(binary.cubin, _cubin_differences(folder, kernel, architecture, binary))
        found += _problem_lines(binary.ptx, _ptx_differences(folder, kernel, architecture, binary))
    # A link is listed as a file even where it points to a folder or nowhere.
    present = {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()
    }
    return found + [f"{name}: is not in {NAME}" for name in sorted(present - listed)]


def verified(folder: Path, file: File) -> bytes:
    """The bytes of a file. Raises ModelError if their sha256 is not the one in the manifest.

    The file is read once and used from memory, so it cannot change between the check and its use.
    """
    try:
        data = (folder / file.name).read_bytes()
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror}); build the folder again") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise ModelError(
            f"sha256 must be {file.sha256[:12]}..., got {digest[:12]}... ({len(data)} bytes, "
            f"{file.size} expected); copy or build the folder again"
        )
    return data


def _problem_lines(file: File, differences: Iterator[str]) -> list[str]:
    try:
        return [f"{file.name}: {text}" for text in differences]
    except ModelError as error:
        return [f"{file.name}: {error}"]


def _cubin_differences(folder: Path, kernel: Kernel, architecture: str, binary: Binary) -> Iterator[str]:
    cubin = cubin_from_bytes(verified(folder, binary.cubin))
    if str(cubin.architecture) != architecture:
        yield f"is compiled for sm_{cubin.architecture}, listed under sm_{architecture}"
    if kernel.symbol not in cubin.functions:
        yield f"has no kernel {kernel.symbol}; it has {', '.join(cubin.functions) or 'none'}"


def _ptx_differences(folder: Path, kernel: Kernel, architecture: str, binary: Binary) -> Iterator[str]:
    ptx = ptx_from_text(verified(folder, binary.ptx).decode("ascii", "replace"))
    parameters = ("u64",) * len(kernel.pointers) + ("u32",) + ("u64",) * len(kernel.hidden)
    for what, expected, given in (
        ("target", binary.target, ptx.target),
        ("compute capability", architecture, ptx.target.removeprefix("sm_").rstrip("a")),
        ("version", binary.ptx_version, ptx.version),
        ("kernel", kernel.symbol, ptx.entry),
        ("parameters", parameters, ptx.parameters),
        ("threads", binary.threads, ptx.threads),
    ):
        if expected != given:
            yield f"{what} must be {expected}, got {given}"
