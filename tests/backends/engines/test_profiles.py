"""The shapes of the profiles cover every input that the recogniser can ask for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tiny import DETECTOR_SPEC, EXPRESSION_SPEC

from fer_edge.backends.cpu_sampling import SamplesOnCpu
from fer_edge.backends.engines.profiles import MAX_FACES, Profile, profiles_for
from fer_edge.detection.detect import Detector
from fer_edge.models import WEIGHTS, read
from fer_edge.stages.expressions import BATCH

# (height, width), from a thumbnail to 4K, also upright, and panoramas.
FRAMES = (
    *((1, 1), (17, 40), (240, 320), (480, 640), (720, 1280), (1920, 1080), (2160, 3840)),
    *((200, 500), (896, 2656), (2656, 896), (100, 9000)),
)


def test_faces() -> None:
    assert BATCH == MAX_FACES
    one, many = profiles_for(EXPRESSION_SPEC)
    assert one == Profile((1, 1, 16, 16), (1, 1, 16, 16), (1, 1, 16, 16))
    assert many == Profile((1, 1, 16, 16), (8, 1, 16, 16), (32, 1, 16, 16))
    assert [one.contains((n, 1, 16, 16)) for n in (0, 1, 2)] == [False, True, False]
    assert [many.contains((n, 1, 16, 16)) for n in (0, 1, 32, 33)] == [False, True, True, False]


class Recorder(SamplesOnCpu):
    """A detector's backend that finds nothing and records the shapes of its inputs."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def reserve(self, shape: tuple[int, ...]) -> np.ndarray:
        self.shapes.append(shape)
        return np.empty(shape, np.float32)

    def run(self) -> list[np.ndarray]:
        _, _, height, width = self.shapes[-1]
        return [np.full((1, 15, height // s, width // s), -20, np.float32) for s in (8, 16, 32)]


@pytest.mark.parametrize("min_face", [None, 12, 16, 40, 2000])
def test_every_input_of_the_detector_is_in_a_profile(min_face: float | None) -> None:
    spec = read(WEIGHTS / "face-luma.onnx").spec
    usual, fine = profiles_for(spec)
    for sides in FRAMES:
        backend: Any = Recorder()
        Detector(backend, spec, threshold=0.5, min_face=min_face, max_faces=1)(np.zeros(sides, np.uint8))
        assert backend.shapes
        for shape in backend.shapes:
            assert fine.contains(shape), (sides, min_face, shape)
            # The default must be in the profile that is tuned for it.
            assert min_face is not None or usual.contains(shape), (sides, shape)


def test_a_detector_with_another_multiple() -> None:
    usual, fine = profiles_for(replace(DETECTOR_SPEC, input_multiple=96))
    assert usual == Profile((1, 1, 96, 96), (1, 1, 288, 384), (1, 1, 384, 384))
    assert fine.max == (1, 1, 2592, 2592)


@pytest.mark.parametrize("spec", [EXPRESSION_SPEC, DETECTOR_SPEC])
def test_one_fixed_shape(spec: object) -> None:
    (profile,) = profiles_for(spec, fixed=True)  # type: ignore[arg-type]
    assert profile.min == profile.opt == profile.max
    assert profile.opt == profiles_for(spec)[0].opt  # type: ignore[arg-type]


def test_a_shape_with_other_dimensions_is_in_none() -> None:
    assert not profiles_for(EXPRESSION_SPEC)[0].contains((1, 16, 16))
