"""The shapes of the profiles cover every input that the recogniser can ask for."""

import itertools
from dataclasses import replace

import pytest
from tiny import DETECTOR_SPEC, EXPRESSION_SPEC

from fer_edge import detect, recognizer
from fer_edge.backends.engines.profiles import MAX_FACES, MAX_SIDE_PX, Profile, profiles_for
from fer_edge.models import WEIGHTS, read

SIDES = (1, 2, 17, 240, 319, 480, 720, 1080, 1920, 3840, 10_000)


def test_faces() -> None:
    assert recognizer.BATCH == MAX_FACES
    one, many = profiles_for(EXPRESSION_SPEC)
    assert one == Profile((1, 1, 16, 16), (1, 1, 16, 16), (1, 1, 16, 16))
    assert many == Profile((1, 1, 16, 16), (8, 1, 16, 16), (32, 1, 16, 16))
    assert [one.contains((n, 1, 16, 16)) for n in (0, 1, 2)] == [False, True, False]
    assert [many.contains((n, 1, 16, 16)) for n in (0, 1, 32, 33)] == [False, True, True, False]


@pytest.mark.parametrize("min_face", [None, 4, 8, 16, 100, 2000])
def test_every_pass_over_every_frame_is_in_a_profile(min_face: float | None) -> None:
    assert detect.MAX_LONG_PX == MAX_SIDE_PX
    spec = read(WEIGHTS / "face-luma.onnx").spec
    profiles = profiles_for(spec)
    for height, width in itertools.product(SIDES, SIDES):
        for scale in detect.scales_from_frame(max(height, width), min_face):
            _, sides = detect.letterbox((height, width), scale, spec.input_multiple)
            fitting = [profile.contains((1, 1, *sides)) for profile in profiles]
            assert any(fitting), (height, width, min_face, sides)
            if min_face is None:
                assert fitting[0], "the default must be in the profile that is tuned for it"


def test_a_detector_with_another_multiple() -> None:
    usual, fine = profiles_for(replace(DETECTOR_SPEC, input_multiple=48))
    assert usual == Profile((1, 1, 48, 48), (1, 1, 288, 336), (1, 1, 336, 336))
    assert fine.max == (1, 1, 2592, 2592)


@pytest.mark.parametrize("spec", [EXPRESSION_SPEC, DETECTOR_SPEC])
def test_one_fixed_shape(spec: object) -> None:
    (profile,) = profiles_for(spec, fixed=True)  # type: ignore[arg-type]
    assert profile.min == profile.opt == profile.max
    assert profile.opt == profiles_for(spec)[0].opt  # type: ignore[arg-type]


def test_a_shape_with_other_dimensions_is_in_none() -> None:
    assert not profiles_for(EXPRESSION_SPEC)[0].contains((1, 16, 16))
