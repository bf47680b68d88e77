"""What a wheel must contain and must not: it is checked after it was built, before anyone installs it."""

import hashlib
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

# Folders of a checkout.
NOT_PACKAGED = ("tests/", "training/", "export/", "benchmarks/", "release/", "csrc/", "docs/")
# Where people and build machines keep their files.
HOME = re.compile(rb"(?:/root|/home|/tmp|/build|/work|/opt|/Users)/[\w.+-]+/[\w./+-]*")
WEIGHTS = "fer_edge/weights/"
NEEDED = (
    "fer_edge/__init__.py",
    "fer_edge/py.typed",
    "fer_edge/_core.pyi",
    "fer_edge/_pyinstaller/hook-fer_edge.py",
    f"{WEIGHTS}SHA256SUMS",
)


def problems(wheel: Path, extension: str | None, build_paths: Iterable[Path] = ()) -> Iterator[str]:
    """Yields what is wrong with a wheel, a line each; nothing if it is right.

    Args:
        wheel: the file.
        extension: the file name of the compiled core; None for a wheel without one.
        build_paths: folders of the building machine, whose names may stand in no file.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        yield from (f"{name} is missing" for name in NEEDED if name not in names)
        yield from (f"{name} is not part of the package" for name in names if name.startswith(NOT_PACKAGED))
        yield from _wrong_extensions(names, extension)
        yield from _wrong_weights(archive)
        for name in names:
            yield from _paths_in(name, archive.read(name), build_paths)


def _wrong_extensions(names: list[str], extension: str | None) -> Iterator[str]:
    expected = [] if extension is None else [f"fer_edge/{extension}"]
    found = [name for name in names if name.endswith(".so")]
    if found != expected:
        yield f"the extensions must be {expected}, got {found}"


def _wrong_weights(archive: zipfile.ZipFile) -> Iterator[str]:
    """The embedded networks must be those of SHA256SUMS."""
    if f"{WEIGHTS}SHA256SUMS" not in archive.namelist():
        return
    lines = archive.read(f"{WEIGHTS}SHA256SUMS").decode().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    found = {name.removeprefix(WEIGHTS) for name in archive.namelist() if name.endswith(".onnx")}
    if found != set(sums):
        yield f"the weights must be {sorted(sums)}, got {sorted(found)}"
    for name in sorted(found & set(sums)):
        if hashlib.sha256(archive.read(WEIGHTS + name)).hexdigest() != sums[name]:
            yield f"{WEIGHTS}{name} is not the file of SHA256SUMS"


def _paths_in(name: str, data: bytes, build_paths: Iterable[Path]) -> Iterator[str]:
    for path in build_paths:
        if str(path).encode() in data:
            yield f"{name} names the folder {path} of the machine that built it"
    if name.endswith(".so"):
        for found in sorted(set(HOME.findall(data))):
            yield f"{name} names a path of the machine that built it: {found.decode()}"
