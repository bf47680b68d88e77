"""Files that TensorRT's parser takes and refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fer_edge import models

pytestmark = pytest.mark.engines


@pytest.mark.parametrize("name", ["tkfnet-nano-float32", "face-luma"])
def test_the_embedded_float32_files_are_parsed(name: str, parse: Callable[[Path], Any]):
    network = parse(models.WEIGHTS / f"{name}.onnx")
    assert network.get_input(0).name == "input"


def test_the_int8_file_for_cpus_is_refused_because_of_its_int32_biases(parse: Callable[[Path], Any]):
    with pytest.raises(ValueError, match="input has type Int32"):
        parse(models.WEIGHTS / "tkfnet-nano.onnx")
