"""Alignment: the matrices are similarities, and a face that was moved gives the same crop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_edge import ops
from fer_edge.stages.align import matrices_from_boxes, matrices_from_landmarks, outside_shares

TEMPLATE = np.array([[0.31, 0.36], [0.69, 0.36], [0.5, 0.56], [0.35, 0.76], [0.65, 0.76]], np.float32)
SIZE = 32
ANGLES = st.floats(-np.pi, np.pi)
SCALES = st.floats(0.4, 3.0)
CENTRES = st.tuples(st.floats(80, 240), st.floats(80, 240))


def _moved_template(angle: float, scale: float, centre: tuple[float, float]) -> np.ndarray:
    """The template as a face of scale * SIZE pixels about a centre, turned by an angle: [1, 5, 2]."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (((TEMPLATE - 0.5) * SIZE) @ turn.T + centre).astype(np.float32)[None]


@given(ANGLES, SCALES, CENTRES)
def test_the_template_is_mapped_to_itself(angle: float, scale: float, centre: tuple[float, float]) -> None:
    landmarks = _moved_template(angle, scale, centre)
    matrix = matrices_from_landmarks(landmarks, TEMPLATE, SIZE)[0]
    found = TEMPLATE * SIZE @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(found, landmarks[0], atol=1e-3)


@given(arrays(np.float32, (3, 5, 2), elements=st.floats(-4000, 4000, width=32)))
def test_matrices_are_similarities_and_never_larger_than_the_points(landmarks: np.ndarray) -> None:
    matrices = matrices_from_landmarks(landmarks, TEMPLATE, SIZE)
    assert matrices.dtype == np.float32
    assert matrices.shape == (3, 2, 3)
    assert np.isfinite(matrices).all()
    a, b, c, d = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1]
    np.testing.assert_array_equal(a, d)
    np.testing.assert_array_equal(b, -c)
    # The crop's scale is the ratio of the spreads, also for random landmarks.
    spread = np.sqrt(((landmarks - landmarks.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2)))
    target = np.sqrt((((TEMPLATE - TEMPLATE.mean(axis=0)) * SIZE) ** 2).sum())
    np.testing.assert_allclose(np.hypot(a, c), spread / target, rtol=1e-3, atol=1e-3)


@given(ANGLES, SCALES, CENTRES)
@settings(deadline=None)
def test_a_turned_scaled_and_shifted_face_gives_the_same_crop(
    angle: float, scale: float, centre: tuple[float, float]
) -> None:
    crop = np.empty((1, 1, SIZE, SIZE), np.float32)
    landmarks = _moved_template(angle, scale, centre)
    ops.warp_normalize(
        _smooth_face(angle, scale, centre),
        matrices_from_landmarks(landmarks, TEMPLATE, SIZE),
        crop,
        mean=0.0,
        scale=1.0,
    )
    x, y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    # One grey level of rounding in the frame, one of interpolation between its pixels at the smallest scale.
    np.testing.assert_allclose(crop[0, 0], _pattern(x, y), atol=2.0)


def _pattern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Grey levels that vary with position and direction, in crop pixels."""
    return 128 + 50 * np.sin(x / 7) + 40 * np.cos(y / 9 + 1)


def _smooth_face(angle: float, scale: float, centre: tuple[float, float]) -> np.ndarray:
    """A frame uint8 [320, 320] with the pattern turned, scaled and shifted."""
    x, y = np.meshgrid(np.arange(320) + 0.5 - centre[0], np.arange(320) + 0.5 - centre[1])
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    return np.rint(_pattern(cos * x + sin * y + SIZE / 2, cos * y - sin * x + SIZE / 2)).astype(np.uint8)


def test_no_faces_give_no_matrices() -> None:
    assert matrices_from_landmarks(np.empty((0, 5, 2), np.float32), TEMPLATE, SIZE).shape == (0, 2, 3)
    assert matrices_from_boxes(np.empty((0, 4), np.float32), SIZE).shape == (0, 2, 3)


def test_coincident_landmarks_give_that_point() -> None:
    landmarks = np.full((1, 5, 2), 40.5, np.float32)
    matrix = matrices_from_landmarks(landmarks, TEMPLATE, SIZE)[0]
    np.testing.assert_array_equal(matrix, [[0, 0, 40.5], [0, 0, 40.5]])


def test_many_faces_are_the_same_as_one_after_the_other() -> None:
    landmarks = np.concatenate([_moved_template(a, 1 + a, (100, 90)) for a in (0.0, 0.4, 1.0)])
    together = matrices_from_landmarks(landmarks, TEMPLATE, SIZE)
    for index in range(3):
        alone = matrices_from_landmarks(landmarks[index : index + 1], TEMPLATE, SIZE)
        np.testing.assert_allclose(together[index], alone[0], rtol=1e-6)


@pytest.mark.parametrize("box", [(0, 0, 32, 32), (10, 20, 42, 84), (-5, 3, 11, 11)])
def test_boxes_are_stretched_over_the_crop(box: tuple[int, int, int, int]) -> None:
    matrix = matrices_from_boxes(np.array([box], np.float32), SIZE)[0]
    corners = matrix @ np.array([[0, SIZE], [0, SIZE], [1, 1]], np.float32)
    np.testing.assert_allclose(corners.T.ravel(), box, atol=1e-5)


def test_a_template_may_be_any_sequence_of_numbers() -> None:
    landmarks = _moved_template(0.3, 1.5, (100, 90))
    expected = matrices_from_landmarks(landmarks, TEMPLATE, SIZE)
    for template in (TEMPLATE.astype(np.float64), TEMPLATE.tolist()):
        np.testing.assert_array_equal(matrices_from_landmarks(landmarks, template, SIZE), expected)


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((0, 0, 64, 48), 0),
        ((-32, 0, 32, 48), 0.5),
        ((48, 12, 80, 60), 1 - 0.5 * 0.75),
        ((64, 0, 128, 48), 1),
        ((0, -300, 64, -200), 1),
    ],
)
def test_the_share_of_a_crop_outside_the_frame(box: tuple[float, ...], share: float) -> None:
    matrices = matrices_from_boxes(np.array([box, (8, 8, 24, 24)], np.float32), SIZE)
    shares = outside_shares(matrices, SIZE, height=48, width=64)
    assert shares.dtype == np.float32
    assert shares.tolist() == pytest.approx([share, 0])
    assert outside_shares(matrices[:0], SIZE, 48, 64).shape == (0,)
