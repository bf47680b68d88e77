"""Fixtures: a folder of made-up kernels, and a test double of pycuda."""

from pathlib import Path

import made_folder
import pytest
from pycuda_double import PycudaDriver


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of made-up kernels with its manifest."""
    made_folder.write(tmp_path)
    return tmp_path


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> PycudaDriver:
    """A test double that replaces pycuda.driver, with a GPU of compute capability 8.7."""
    double = PycudaDriver((8, 7))
    double.install(monkeypatch)
    return double
