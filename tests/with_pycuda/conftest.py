"""The real pycuda, built from source, on a double of the driver: `make test-pycuda`."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FOLDER = Path(sys.prefix) / "libraries"
NAMES = ("memory", "pinned", "streams", "events", "graphs", "contexts", "current")


@pytest.fixture(scope="session")
def library() -> ctypes.CDLL:
    """The double, loaded so that pycuda finds it under the name libcuda.so.1."""
    path = FOLDER / "libcuda.so.1"
    assert path.exists(), f"{path} is missing; make test-pycuda makes it"
    # Not global: libcurand contains functions of the CUDA runtime, as the emulator of the kernels does.
    for curand in FOLDER.glob("libcurand.so.*"):
        ctypes.CDLL(str(curand))
    return ctypes.CDLL(str(path))


@pytest.fixture
def alive(library: ctypes.CDLL) -> Iterator[Callable[[], dict[str, int]]]:
    """What is alive in the double; a test must leave nothing."""

    def alive() -> dict[str, int]:
        counts = (ctypes.c_int64 * len(NAMES))()
        library.double_alive(counts)
        return {name: count for name, count in zip(NAMES, counts, strict=True) if count}

    assert alive() == {}
    yield alive
    assert alive() == {}
