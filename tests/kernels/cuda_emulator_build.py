"""Compiles csrc/cuda with csrc/cuda/emulator: each operation as a library, and all of them as an extension.

Results are stored in build/ under the digest of their inputs, so each is built once.
"""

import ctypes
import fcntl
import functools
import hashlib
import importlib.util
import os
import subprocess
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from csrc.cuda import toolkit

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "cuda_emulator"
# -O1 compiles twice as fast as -O2 and runs nearly as fast. Vector loads on a GPU have no aliasing rule.
COMPILE = [
    *(
        os.environ.get("CXX", "c++"),
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-ffp-contract=off",
        "-fno-strict-aliasing",
    ),
    # Undefined behaviour, such as a misaligned vector load, traps.
    *("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"),
    # Fortified longjmp would reject the switch to another fiber's stack.
    *("-U_FORTIFY_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"),
]


@functools.cache
def library(operation: str, architecture: int = 900) -> ctypes.CDLL:
    """The operation's kernels, compiled as for a device of the architecture (750 for 7.5)."""
    objects = _objects([toolkit.FOLDER / f"{operation}.cu", *_emulator()], architecture)
    loaded = ctypes.CDLL(str(_linked(Path(operation).stem, objects)))
    loaded.emulator_message.restype = ctypes.c_char_p
    loaded.emulator_allocate.restype = ctypes.c_void_p
    loaded.emulator_allocate.argtypes = (ctypes.c_size_t, ctypes.c_int)
    loaded.emulator_release.argtypes = (ctypes.c_void_p,)
    return loaded


@functools.cache
def extension() -> ModuleType:
    """The unchanged `fer_edge._cuda` with its bindings, on the emulator."""
    pybind11 = pytest.importorskip("pybind11", reason="the bindings are compiled with pybind11")
    include = (f"-I{pybind11.get_include()}", f"-I{sysconfig.get_path('include')}", "-fvisibility=hidden")
    bindings = _objects([toolkit.FOLDER / "bindings.cpp"], 900, *include)
    path = _linked("extension", [*_objects([*toolkit.sources(), *_emulator()], 900), *bindings])
    spec = importlib.util.spec_from_file_location("fer_edge._cuda", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _emulator() -> list[Path]:
    return sorted((toolkit.FOLDER / "emulator").glob("*.cpp"))


def _objects(sources: Sequence[Path], architecture: int, *extra: str) -> list[Path]:
    """An object file of each source, compiled unless one exists for these sources and flags."""
    try:
        include = toolkit.find() / "include"
    except FileNotFoundError as error:
        pytest.skip(f"the emulator needs the toolkit's headers: {error}")
    command = [*COMPILE, f"-DFER_EDGE_EMULATED={architecture}", f"-isystem{include}", *extra]
    headers = sorted(path for path in toolkit.FOLDER.rglob("*") if path.suffix in (".h", ".cuh"))

    def compiled(source: Path) -> Path:
        digest = hashlib.sha256(" ".join(command).encode())
        for path in (source, *headers):
            digest.update(path.read_bytes())
        made = BUILT / f"{source.stem}-{digest.hexdigest()[:16]}.o"
        _make(made, [*command, "-c", "-x", "c++", str(source)])
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compiled, sources))


def _linked(name: str, objects: Sequence[Path]) -> Path:
    digest = hashlib.sha256(" ".join(path.name for path in objects).encode())
    made = BUILT / f"{name}-{digest.hexdigest()[:16]}.so"
    _make(made, [COMPILE[0], "-shared", *map(str, objects)])
    return made


def _make(made: Path, command: Sequence[str]) -> None:
    """Runs the command with its output at `made`, unless another process runs it or has run it."""
    BUILT.mkdir(parents=True, exist_ok=True)
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            return
        draft = made.with_suffix(f"{made.suffix}.draft")
        done = subprocess.run([*command, "-o", str(draft)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        draft.rename(made)
