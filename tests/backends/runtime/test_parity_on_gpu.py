"""A network alone on the GPU, as export.verify measures it."""

from pathlib import Path

import numpy as np
import pytest
from driver_double import Driver
from driver_library import OUT_OF_MEMORY
from tensorrt_double import TensorRT

from export.certificates.networks import open_network, outputs_of
from fer_edge.backends.cuda.device import DeviceError


@pytest.mark.parametrize("count", [1, 3, 33])
def test_it_answers_as_the_graph(
    count: int, expression_file: Path, engines: Path, tensorrt: TensorRT, driver: Driver
) -> None:
    x = np.random.default_rng(0).random((count, 1, 16, 16), np.float32)
    exact = open_network(expression_file, "graph")
    measured = open_network(expression_file, "tensorrt-rtx", engines)
    np.testing.assert_allclose(outputs_of(measured, x)[0], outputs_of(exact, x)[0], rtol=1e-6)
    assert measured.info()["backend"] == "tensorrt-rtx"
    measured.close()
    assert driver.alive == {}


@pytest.mark.parametrize("after", [0, 1, 2])
def test_full_memory_at_the_start_leaves_nothing(
    after: int, expression_file: Path, engines: Path, tensorrt: TensorRT, driver: Driver
) -> None:
    driver.fail("mem_alloc", OUT_OF_MEMORY, after=after)
    with pytest.raises(DeviceError, match="its memory is full"):
        open_network(expression_file, "tensorrt-rtx", engines)
    assert driver.alive == {}
