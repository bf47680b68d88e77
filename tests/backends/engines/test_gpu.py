"""The GPU as the driver describes it. The driver is a double: a library in C that answers as an Orin does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_plans import ORIN

from fer_edge.backends.engines.gpu import Gpu

DRIVER = r"""
#include <string.h>
int cuInit(unsigned flags) { return INIT; }
int cuDeviceGet(int *device, int ordinal) { *device = 5; return ordinal; }
int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, "Orin", length);
    return device != 5;
}
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : 16;
    return device != 5 || ATTRIBUTE;
}
"""
ASK = "from fer_edge.backends.engines.gpu import Gpu, this_gpu; print(repr(this_gpu()))"


def _ask(folder: Path, init: int = 0, attribute: int = 0) -> subprocess.CompletedProcess[str]:
    compiler = shutil.which("cc")
    assert compiler, "a C compiler is needed, as for the extension"
    (folder / "driver.c").write_text(DRIVER)
    macros = [f"-DINIT={init}", f"-DATTRIBUTE={attribute}"]
    subprocess.run(
        [compiler, "-shared", "-fPIC", *macros, "-o", folder / "libcuda.so.1", folder / "driver.c"],
        check=True,
    )
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False
    )


def test_the_gpu_of_a_jetson(tmp_path: Path) -> None:
    assert eval(_ask(tmp_path).stdout) == ORIN
    assert isinstance(ORIN, Gpu)


def test_a_driver_without_a_gpu(tmp_path: Path) -> None:
    assert _ask(tmp_path, init=100).stdout == "None\n"


def test_a_driver_that_does_not_answer(tmp_path: Path) -> None:
    done = _ask(tmp_path, attribute=1)
    assert done.stderr.splitlines()[-1] == (
        "RuntimeError: the CUDA driver does not say attribute 75 of the GPU: error 1"
    )


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    from fer_edge.backends.engines import gpu

    monkeypatch.setattr(gpu, "LIBRARY", "libno-such-driver.so.1")
    assert gpu.this_gpu() is None


def test_the_gpu_as_text() -> None:
    assert ORIN.describe() == "Orin (compute capability 8.7, 16 multiprocessors, CUDA driver 12.6)"
