"""TensorRT, as on Jetson: an engine for this GPU only, whose kernels were compiled when it was built."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from driver_double import Driver
from made_plans import ORIN
from tensorrt_double import JETSON_VERSION, TensorRT, write_engine_for_jetson
from tiny import frame_with_cells

from fer_edge import Recognizer, models
from fer_edge.backends import gpu_networks
from fer_edge.models import ModelError

Make = Callable[..., Recognizer]


@pytest.fixture
def jetson(
    driver: Driver,
    detector_file: Path,
    expression_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_recognizer: Make,
) -> Iterator[Make]:
    """Makes recognisers of the tiny networks on an Orin."""
    TensorRT(driver, "tensorrt", JETSON_VERSION).install(monkeypatch)
    monkeypatch.setattr(gpu_networks, "this_gpu", lambda: ORIN)
    folder = tmp_path / "engines"
    write_engine_for_jetson(folder, models.load(detector_file, "detector"))
    write_engine_for_jetson(folder, models.load(expression_file, "expression"))
    made: list[Recognizer] = []

    def make() -> Recognizer:
        made.append(make_recognizer(backend="tensorrt", engines=folder, build="never"))
        return made[-1]

    yield make
    for recognizer in made:
        recognizer.close()


@pytest.mark.parametrize("cells", [[], [(4, 4)], [(4, 4), (25, 20), (30, 5)]])
def test_it_answers_as_the_cpu(cells: list[tuple[int, int]], jetson: Make, make_recognizer: Make) -> None:
    frame = frame_with_cells(*cells)
    gpu, cpu = jetson(), make_recognizer()
    for _ in range(3):  # at once, while it is recorded, from the graph
        found, expected = gpu(frame), cpu(frame)
        assert len(found) == len(cells)
        assert [face.label for face in found] == [face.label for face in expected]
        for face, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(face.box, other.box, rtol=1e-5)
            np.testing.assert_allclose(face.confidence, other.confidence, rtol=1e-5)
    assert gpu.info()["backend"] == "tensorrt"
    assert gpu.info()["version"] == JETSON_VERSION


def test_no_kernels_are_kept_beside_the_plan(jetson: Make, tmp_path: Path, driver: Driver) -> None:
    files = sorted((tmp_path / "engines").iterdir())
    recognizer = jetson()
    recognizer(np.zeros((64, 96), np.uint8))
    recognizer.close()
    assert sorted((tmp_path / "engines").iterdir()) == files
    assert driver.alive == {}


def test_an_engine_of_another_board_is_refused(jetson: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_networks, "this_gpu", lambda: replace(ORIN, name="Thor", compute_capability=110))
    with pytest.raises(ModelError, match="Thor"):
        jetson()
