"""Each measure for abstention changes only with the property that it measures."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.abstain import Limits, measure, reasons

# A frontal face, 40 px between the eyes, nose half way between eyes and mouth.
FRONTAL = np.array([[-20, -20], [20, -20], [0, 0], [-15, 20], [15, 20]], np.float32)
PLANE = np.random.default_rng(7).normal(size=(1, 1, 32, 32)).astype(np.float32)


def _face(points: np.ndarray) -> np.ndarray:
    return points.astype(np.float32)[None]


@given(
    st.floats(-math.pi, math.pi),
    st.floats(0.2, 5),
    st.floats(-900, 900),
    # The nose moved by 0.6 of the distance to the side, to the eyes, and in both directions.
    st.sampled_from([(10.5, 0), (-10.5, 0), (0, -12), (0, 12), (10.5, 6), (-5, -12)]),
)
def test_turn_and_eye_distance_of_a_moved_face(
    angle: float, scale: float, shift: float, nose: tuple[float, float]
) -> None:
    turned = FRONTAL.copy()
    turned[2] = nose
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    eye_px, turn, _ = measure(_face(scale * turned @ rotation.T + shift), PLANE)
    assert eye_px[0] == pytest.approx(40 * scale, rel=1e-3)
    assert turn[0] == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize(
    ("nose", "turn"), [((0, 0), 0), ((17.5, 0), 1), ((-35, 0), 2), ((0, 20), 1), ((0, -10), 0.5)]
)
def test_turn_grows_with_the_nose(nose: tuple[float, float], turn: float) -> None:
    points = FRONTAL.copy()
    points[2] = nose
    assert measure(_face(points), PLANE)[1][0] == pytest.approx(turn, abs=1e-5)


def test_coincident_landmarks_are_too_far_turned_or_small_but_no_error() -> None:
    eye_px, turn, _ = measure(np.zeros((1, 5, 2), np.float32), PLANE)
    assert eye_px[0] == 0
    assert np.isfinite(turn[0])


def test_sharpness_ignores_brightness_and_contrast_and_falls_with_blur() -> None:
    _, _, sharp = measure(_face(FRONTAL), PLANE)
    _, _, dim = measure(_face(FRONTAL), PLANE * 0.1 - 3)
    smooth = (PLANE + np.roll(PLANE, 1, 2) + np.roll(PLANE, 1, 3) + np.roll(PLANE, (1, 1), (2, 3))) / 4
    _, _, blurred = measure(_face(FRONTAL), smooth)
    _, _, flat = measure(_face(FRONTAL), np.ones_like(PLANE))
    assert dim[0] == pytest.approx(sharp[0], rel=1e-3)
    assert blurred[0] < 0.6 * sharp[0]
    assert flat[0] == 0


def test_without_landmarks_size_and_turn_are_unknown() -> None:
    eye_px, turn, sharpness = measure(np.empty((1, 0, 2), np.float32), PLANE)
    assert np.isnan(eye_px[0])
    assert np.isnan(turn[0])
    assert reasons(Limits(), eye_px, turn, sharpness, np.ones(1, np.float32)) == [None]


def test_reasons_come_in_order_and_per_face() -> None:
    limits = Limits(min_eye_px=10, max_turn=1, min_sharpness=0.5, min_confidence=0.4)
    columns = np.array(
        [
            (20, 0, 1, 0.9),
            (9, 2, 0, 0.1),
            (20, 2, 0, 0.1),
            (20, 0, 0, 0.1),
            (20, 0, 1, 0.1),
            (10, 1, 0.5, 0.4),
        ],
        np.float32,
    ).T
    assert reasons(limits, *columns) == [
        None,
        "face too small",
        "face too far turned",
        "face too blurred",
        "expression unclear",
        None,
    ]


def test_every_check_can_be_switched_off() -> None:
    off = Limits(min_eye_px=0, max_turn=math.inf, min_sharpness=0, min_confidence=0)
    worst = [np.array([value], np.float32) for value in (0, 1e9, 0, 0)]
    assert reasons(off, *worst) == [None]


@pytest.mark.parametrize(
    ("measures", "reason"),
    [
        ((9.99, 0, 1, 1), "face too small"),
        ((10, 0, 1, 1), None),
        ((20, 1.01, 1, 1), "face too far turned"),
        ((20, 1, 1, 1), None),
        ((20, 0, 0.0499, 1), "face too blurred"),
        ((20, 0, 0.0501, 0), None),
    ],
)
def test_the_default_limits(measures: tuple[float, ...], reason: str | None) -> None:
    assert reasons(Limits(), *(np.array([value], np.float32) for value in measures)) == [reason]


@pytest.mark.parametrize("name", ["min_eye_px", "max_turn", "min_sharpness", "min_confidence"])
def test_limits_are_checked_and_cannot_be_changed(name: str) -> None:
    for value in (-1e-6, math.nan):
        with pytest.raises(ValueError, match=f"{name} must be .*, got {value!r}"):
            Limits(**{name: value})
    assert getattr(Limits(**{name: 0}), name) == 0
    if name == "min_confidence":
        assert Limits(min_confidence=1).min_confidence == 1
        with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.01"):
            Limits(min_confidence=1.01)
    else:
        assert getattr(Limits(**{name: math.inf}), name) == math.inf
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Limits(), name, 1)
    assert not hasattr(Limits(), "__dict__")


@pytest.mark.parametrize("points", [0, 5])
def test_measures_are_float32_and_one_a_face(points: int) -> None:
    landmarks = np.tile(FRONTAL[:points], (3, 1, 1)).reshape(3, points, 2)
    for values in measure(landmarks, np.repeat(PLANE, 3, axis=0)):
        assert (values.dtype, values.shape) == (np.float32, (3,))


def test_sharpness_by_hand() -> None:
    crop = np.zeros((1, 1, 5, 4), np.float32)
    crop[0, 0, 1, 1], crop[0, 0, 3, 2] = 1, 2
    # Laplacian of the 3 x 2 inner pixels: -4 1 / 1 2 / 2 -8; their mean absolute value is 3.
    # Mean 3 / 20, mean of squares 5 / 20.
    expected = 3 / math.sqrt(5 / 20 - (3 / 20) ** 2)
    assert measure(_face(FRONTAL), crop)[2][0] == pytest.approx(expected, rel=1e-5)
    pair = np.concatenate([crop * 7 + 1, np.ones_like(crop)])
    assert measure(np.stack([FRONTAL, FRONTAL]), pair)[2] == pytest.approx([expected, 0], rel=1e-4)
