"""A GPU that is a double: see driver_double and tensorrt_double. Only execution is doubled."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driver_double import Driver
from made_plans import RTX_4090
from tensorrt_double import TensorRT, write_engine

from fer_edge import models
from fer_edge.backends import gpu_networks
from fer_edge.recognizer import Recognizer


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The CUDA driver."""
    driver = Driver()
    driver.install(monkeypatch)
    return driver


@pytest.fixture
def tensorrt(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> TensorRT:
    """TensorRT for RTX on a desktop GPU."""
    module = TensorRT(driver)
    module.install(monkeypatch)
    monkeypatch.setattr(gpu_networks, "this_gpu", lambda: RTX_4090)
    return module


@pytest.fixture
def engines(detector_file: Path, expression_file: Path, tmp_path: Path) -> Path:
    """A folder with the engines of the tiny networks."""
    folder = tmp_path / "engines"
    write_engine(folder, models.load(detector_file, "detector"))
    write_engine(folder, models.load(expression_file, "expression"))
    return folder


@pytest.fixture
def on_gpu(
    tensorrt: TensorRT, engines: Path, make_recognizer: Callable[..., Recognizer]
) -> Iterator[Callable[..., Recognizer]]:
    """Makes recognisers of the tiny networks on the GPU."""
    made: list[Recognizer] = []

    def make(**settings: object) -> Recognizer:
        given = {"backend": "tensorrt-rtx", "engines": engines, "build": "never", **settings}
        made.append(make_recognizer(**given))
        return made[-1]

    yield make
    # Before the double is gone.
    for recognizer in made:
        recognizer.close()
