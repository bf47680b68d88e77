"""The real bindings of TensorRT for Jetson, over a double of its libraries.

NVIDIA's bindings are on the package index, its libraries are not. The double is a library with the nine
symbols that the bindings link to; each returns nothing, as the real ones do on a machine without a GPU.
Bindings of several versions cannot share a process, so each is asked in a child process.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Where `make test-engines` puts the wheels, by version.
BINDINGS = Path(sys.prefix) / "bindings"
# JetPack 6.1 and 6.2, 7.0 and 7.1, 7.2, 7.2.2 and later.
VERSIONS = ("10.3.0", "10.13.3.9", "10.16.0.72", "11.4.0.106")
SYMBOLS = (
    "createInferBuilder_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "getPluginRegistry",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "initLibNvInferPlugins",
)
LIBRARIES = ("nvinfer", "nvonnxparser", "nvinfer_plugin")


@pytest.fixture(scope="session")
def lean_runtime() -> Path:
    """The folder with the wheels of TensorRT's lean runtime."""
    return _installed("lean-11.4.0.106")


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with doubles of TensorRT's libraries of the major versions 10 and 11."""
    folder = tmp_path_factory.mktemp("libraries")
    source = folder / "double.c"
    source.write_text("".join(f"void *{symbol}(void) {{ return 0; }}\n" for symbol in SYMBOLS))
    compiler = shutil.which("cc")
    assert compiler, "a C compiler is needed, as for the extension"
    for major in (10, 11):
        for library in LIBRARIES:
            name = f"lib{library}.so.{major}"
            command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source]
            subprocess.run(command, check=True)
    return folder


@pytest.fixture(params=VERSIONS)
def ask(request: pytest.FixtureRequest, libraries: Path) -> Callable[[str], Any]:
    """Runs code where `tensorrt` is the bindings of one version; returns the JSON that it prints."""
    folder = _installed(request.param)
    start = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\n"
        # Jetson's package is called tensorrt, that of the wheel tensorrt_bindings.
        "import tensorrt_bindings; sys.modules['tensorrt'] = tensorrt_bindings\n"
    )

    def ask(code: str) -> Any:
        environment = os.environ | {"LD_LIBRARY_PATH": str(libraries)}
        done = subprocess.run(
            [sys.executable, "-c", start + code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def _installed(name: str) -> Path:
    folder = BINDINGS / name
    assert folder.is_dir(), f"{folder} is missing; make test-engines installs it"
    return folder
