"""TensorRT's real runtime library, as far as it is on the package index: the lean runtime of version 11.4."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fer_edge.backends.engines.gpu import this_gpu

pytestmark = pytest.mark.engines

START_RUNTIME = """
import json, sys
sys.path.insert(0, sys.argv[1])
import tensorrt_lean_bindings
from fer_edge.backends.engines.native import make_runtime
from fer_edge.models import ModelError
try:
    made = str(type(make_runtime(tensorrt_lean_bindings)))
except ModelError as error:
    made = str(error)
print(json.dumps([tensorrt_lean_bindings.__version__, made]))
"""


def test_no_driver_is_one_error_and_not_the_end_of_the_process(lean_runtime: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START_RUNTIME, lean_runtime], capture_output=True, text=True, check=True
    )
    version, made = json.loads(done.stdout)
    assert version == "11.4.0.106"
    if this_gpu() is None:
        assert made == (
            "TensorRT 11.4.0.106 cannot start: there is no GPU, or its driver is older than the library"
        )
    else:
        assert "Runtime" in made
