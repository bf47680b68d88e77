"""Each measure for abstention changes only with the property that it measures."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.stages.abstain import Limits, Measures, measure, reasons, with_crop_check

# A frontal face, 40 px between the eyes, nose half way between eyes and mouth.
FRONTAL = np.array([[-20, -20], [20, -20], [0, 0], [-15, 20], [15, 20]], np.float32)
PLANE = np.random.default_rng(7).normal(size=(1, 1, 32, 32)).astype(np.float32)


def _face(points: np.ndarray) -> np.ndarray:
    return points.astype(np.float32)[None]


def _measured(landmarks: np.ndarray, crops: np.ndarray) -> Measures:
    """Without a frame around the crops, and with values that are grey levels."""
    return measure(landmarks, np.full(len(crops), np.nan, np.float32), crops, mean=0.0, scale=1.0)


def _measures(**values: float) -> Measures:
    """One face that no limit withholds, but for the given measures."""
    good = {"eye_px": 20, "outside": 0, "rolled": 0, "turn": 0, "sharpness": 1, "contrast": 50, "white": 0}
    good["covered"] = 0
    return Measures(**{name: np.array([value], np.float32) for name, value in (good | values).items()})


def _reason(limits: Limits, confidence: float, **values: float) -> str | None:
    (reason,) = reasons(limits, _measures(**values), np.array([confidence], np.float32))
    return reason


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
    measures = _measured(_face(scale * turned @ rotation.T + shift), PLANE)
    assert measures.eye_px[0] == pytest.approx(40 * scale, rel=1e-3)
    assert measures.turn[0] == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize(
    ("nose", "turn"), [((0, 0), 0), ((17.5, 0), 1), ((-35, 0), 2), ((0, 20), 1), ((0, -10), 0.5)]
)
def test_turn_grows_with_the_nose(nose: tuple[float, float], turn: float) -> None:
    points = FRONTAL.copy()
    points[2] = nose
    assert _measured(_face(points), PLANE).turn[0] == pytest.approx(turn, abs=1e-5)


def test_coincident_landmarks_are_too_far_turned_or_small_but_no_error() -> None:
    measures = _measured(np.zeros((1, 5, 2), np.float32), PLANE)
    assert measures.eye_px[0] == 0
    assert np.isfinite(measures.turn[0])


def test_sharpness_ignores_brightness_and_contrast_and_falls_with_blur() -> None:
    sharp = _measured(_face(FRONTAL), PLANE).sharpness
    dim = _measured(_face(FRONTAL), PLANE * 0.1 - 3).sharpness
    smooth = (PLANE + np.roll(PLANE, 1, 2) + np.roll(PLANE, 1, 3) + np.roll(PLANE, (1, 1), (2, 3))) / 4
    blurred = _measured(_face(FRONTAL), smooth).sharpness
    flat = _measured(_face(FRONTAL), np.ones_like(PLANE)).sharpness
    assert dim[0] == pytest.approx(sharp[0], rel=1e-3)
    assert blurred[0] < 0.6 * sharp[0]
    assert flat[0] == 0


def test_without_landmarks_size_and_turn_are_unknown() -> None:
    measures = _measured(np.empty((1, 0, 2), np.float32), PLANE * 50)
    for values in (measures.eye_px, measures.outside, measures.turn):
        assert np.isnan(values[0])
    assert reasons(Limits(), measures, np.ones(1, np.float32)) == [None]


def test_reasons_come_in_order_and_per_face() -> None:
    limits = Limits(
        min_eye_px=10,
        max_outside=0.2,
        max_rolled=0.5,
        max_turn=1,
        min_sharpness=0.5,
        min_contrast=4,
        max_white=0.3,
        max_covered=0.6,
        min_confidence=0.4,
    )
    bad = {"eye_px": 9, "outside": 0.3, "rolled": 0.6, "turn": 2, "sharpness": 0, "contrast": 3, "white": 0.4}
    bad["covered"] = 0.7
    expected = [
        "face too small",
        "face cut by the frame",
        "face rolled too far",
        "face too far turned",
        "face too blurred",
        "face without contrast",
        "face too bright",
        "face covered",
        "expression unclear",
    ]
    # From each measure on, the later ones are bad as well; with all measures good, only the confidence is.
    names = list(bad)
    faces = [_measures(**{name: bad[name] for name in names[first:]}) for first in range(len(names) + 1)]
    faces.append(_measures())
    at_limit = {"eye_px": 10, "outside": 0.2, "rolled": 0.5, "turn": 1, "sharpness": 0.5, "contrast": 4}
    at_limit |= {"white": 0.3, "covered": 0.6}
    faces.append(_measures(**at_limit))
    confidence = np.array([0.1] * len(expected) + [0.9, 0.4], np.float32)
    columns = Measures(*(np.concatenate(values) for values in zip(*faces, strict=True)))
    assert reasons(limits, columns, confidence) == [*expected, None, None]


def test_every_check_can_be_switched_off() -> None:
    off = Limits(
        min_eye_px=0,
        max_outside=math.inf,
        max_turn=math.inf,
        min_sharpness=0,
        min_contrast=0,
        max_white=math.inf,
        min_confidence=0,
    )
    worst = {"eye_px": 0, "outside": 1, "rolled": 1, "turn": 1e9, "sharpness": 0, "contrast": 0, "white": 1}
    worst["covered"] = 1  # max_rolled and max_covered are off unless a network sets them
    assert _reason(off, 0, **worst) is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("eye_px", 9.99, "face too small"),
        ("eye_px", 10, None),
        ("outside", 0.081, "face cut by the frame"),
        ("outside", 0.079, None),
        ("turn", 1.01, "face too far turned"),
        ("turn", 1, None),
        ("sharpness", 0.0499, "face too blurred"),
        ("sharpness", 0.0501, None),
        ("contrast", 1.99, "face without contrast"),
        ("contrast", 2, None),
        ("white", 0.501, "face too bright"),
        ("white", 0.5, None),
    ],
)
def test_the_default_limits(name: str, value: float, reason: str | None) -> None:
    assert _reason(Limits(), 0, **{name: value}) == reason


def test_the_crop_check_of_a_network_gives_probabilities() -> None:
    before = _measures(covered=math.nan, rolled=math.nan)
    after = with_crop_check(before, np.array([[math.log(3), -math.log(4)]], np.float32))
    assert after.covered.tolist() == pytest.approx([0.75])
    assert after.rolled.tolist() == pytest.approx([0.2])
    assert after._replace(covered=before.covered, rolled=before.rolled) == before
    limits = Limits(max_rolled=0.21, max_covered=0.74)
    assert reasons(limits, after, np.ones(1, np.float32)) == ["face covered"]
    # Logits of any size are no overflow.
    far = with_crop_check(before, np.array([[-200, 200]], np.float32))
    assert (far.covered.tolist(), far.rolled.tolist()) == ([0], [1])


@pytest.mark.parametrize("scale", [1 / 64, -1 / 64, 1e-9])
def test_measures_do_not_depend_on_mean_and_scale(scale: float) -> None:
    grey = np.repeat([[[[100, 100], [140, 255]]], [[[249, 250], [251, 255]]]], 2, axis=3).astype(np.float32)
    grey = np.repeat(grey, 2, axis=2)
    crops = ((grey - 129) * scale).astype(np.float32)
    unknown = np.empty((2, 0, 2), np.float32), np.zeros(2, np.float32)
    measures = measure(*unknown, crops, mean=129, scale=scale)
    assert measures.contrast == pytest.approx(grey.reshape(2, -1).std(1), rel=1e-4)
    assert measures.white.tolist() == [0.25, 0.75]
    assert measures.sharpness == pytest.approx(measure(*unknown, grey, mean=0, scale=1).sharpness, rel=1e-4)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
def test_limits_are_checked_and_cannot_be_changed(name: str) -> None:
    for value in (-1e-6, math.nan):
        with pytest.raises(ValueError, match=f"{name} must be .*, got {value!r}"):
            Limits(**{name: value})
    for value in (None, "0.5", True):
        with pytest.raises(ValueError, match=f"{name} must be a number, got {value!r}"):
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
    for values in _measured(landmarks, np.repeat(PLANE, 3, axis=0)):
        assert (values.dtype, values.shape) == (np.float32, (3,))


def test_sharpness_by_hand() -> None:
    crop = np.zeros((1, 1, 5, 4), np.float32)
    crop[0, 0, 1, 1], crop[0, 0, 3, 2] = 1, 2
    # Laplacian of the 3 x 2 inner pixels: -4 1 / 1 2 / 2 -8; their mean absolute value is 3.
    # Mean 3 / 20, mean of squares 5 / 20.
    expected = 3 / math.sqrt(5 / 20 - (3 / 20) ** 2)
    assert _measured(_face(FRONTAL), crop).sharpness[0] == pytest.approx(expected, rel=1e-5)
    pair = np.concatenate([crop * 7 + 1, np.ones_like(crop)])
    assert _measured(np.stack([FRONTAL, FRONTAL]), pair).sharpness == pytest.approx([expected, 0], rel=1e-4)
