"""decode_faces on every target.

Tolerance against the reference: which faces are kept and their order must agree; values to 1 unit in the last
place of a float32, because the exponentials of NumPy and of the C library may differ in that of a float64.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_edge import ops

REFERENCE = ops.operations("reference")
STRIDES = (8, 16, 32)


def random_maps(height, width, seed=0, spread=0.6):
    """Random maps, as of an untrained detector: float32 [15, H / s, W / s] for each stride."""
    rng = np.random.default_rng(seed)
    return [(spread * rng.normal(size=(15, height // s, width // s))).astype(np.float32) for s in STRIDES]


def empty_maps(height=64, width=96):
    maps = [np.zeros((15, height // s, width // s), np.float32) for s in STRIDES]
    for level in maps:
        level[0] = -20
    return maps


def iou(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union else 0.0


def naive(maps, threshold, overlap):
    """The definition in plain Python: every cell, one after the other."""
    faces = []
    for level, stride in zip(maps, STRIDES, strict=True):
        for row, column in np.ndindex(*level.shape[1:]):
            logit, dx, dy, log_w, log_h, *points = (float(value) for value in level[:, row, column])
            score = 1 / (1 + math.exp(-logit))
            if score < threshold:
                continue
            centre = ((column + 0.5) * stride, (row + 0.5) * stride)
            x, y = centre[0] + dx * stride, centre[1] + dy * stride
            w, h = math.exp(min(log_w, 8)) * stride, math.exp(min(log_h, 8)) * stride
            landmarks = [centre[i % 2] + value * stride for i, value in enumerate(points)]
            faces.append((logit, (x - w / 2, y - h / 2, x + w / 2, y + h / 2), landmarks, score))
    faces.sort(key=lambda face: -face[0])
    kept = []
    for face in faces:
        if all(iou(face[1], better[1]) <= overlap for better in kept):
            kept.append(face)
    return kept


def assert_same_faces(got, expected):
    for array, reference in zip(got, expected, strict=True):
        assert array.dtype == np.float32
        assert array.shape == reference.shape
        np.testing.assert_array_max_ulp(array, reference, maxulp=1)


@pytest.mark.parametrize(("height", "width"), [(0, 0), (32, 32), (0, 64), (96, 160), (256, 320), (224, 2016)])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_sizes_and_thresholds(compiled, height, width, threshold):
    maps = random_maps(height, width)
    expected = REFERENCE.decode_faces(maps, threshold=threshold, overlap=0.4)
    assert_same_faces(compiled.decode_faces(maps, threshold=threshold, overlap=0.4), expected)


@pytest.mark.parametrize(
    "shapes", [((7, 63), (1, 1), (0, 5)), ((1, 7), (63, 1), (1, 9)), ((1, 1), (1, 1), (1, 1))]
)
def test_odd_maps(compiled, shapes):
    rng = np.random.default_rng(3)
    maps = [rng.normal(size=(15, *shape)).astype(np.float32) for shape in shapes]
    expected = REFERENCE.decode_faces(maps, threshold=0.5, overlap=0.3)
    assert_same_faces(compiled.decode_faces(maps, threshold=0.5, overlap=0.3), expected)


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.5, 0.8]), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
@settings(deadline=None, max_examples=40)
def test_agrees_with_plain_python(seed, threshold, overlap):
    maps = random_maps(64, 96, seed)
    expected = naive(maps, threshold, overlap)
    for name in ops.targets():
        boxes, landmarks, scores = ops.operations(name).decode_faces(
            maps, threshold=threshold, overlap=overlap
        )
        assert len(boxes) == len(landmarks) == len(scores) == len(expected)
        for i, (_, box, points, score) in enumerate(expected):
            np.testing.assert_allclose(boxes[i], box, rtol=1e-5, atol=1e-4)
            np.testing.assert_allclose(landmarks[i].ravel(), points, rtol=1e-5, atol=1e-4)
            assert scores[i] == pytest.approx(score, rel=1e-6)


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_kept_faces_are_sorted_and_distinct_and_above_the_threshold(seed, threshold, overlap):
    maps = random_maps(64, 96, seed, spread=1.5)
    for name in ops.targets():
        boxes, _, scores = ops.operations(name).decode_faces(maps, threshold=threshold, overlap=overlap)
        assert (np.diff(scores) <= 0).all()
        assert (scores >= np.float32(threshold) - 1e-6).all()
        for i in range(len(boxes)):
            for j in range(i):
                assert iou(boxes[i].tolist(), boxes[j].tolist()) <= overlap + 1e-5


def test_the_order_of_the_cells_does_not_matter(operations):
    # The same faces, mirrored: the order of the cells changes, and the faces must only be mirrored.
    maps = random_maps(64, 96, seed=9)
    mirrored = [level[:, :, ::-1].copy() for level in maps]
    for level in mirrored:
        level[[1, 5, 7, 9, 11, 13]] *= -1
    boxes, landmarks, scores = operations.decode_faces(maps, threshold=0.6, overlap=0.3)
    other_boxes, other_landmarks, other_scores = operations.decode_faces(mirrored, threshold=0.6, overlap=0.3)
    assert len(boxes) > 3
    np.testing.assert_array_equal(other_scores, scores)
    np.testing.assert_allclose(96 - other_boxes[:, [2, 0]], boxes[:, [0, 2]], atol=1e-4)
    np.testing.assert_array_equal(other_boxes[:, [1, 3]], boxes[:, [1, 3]])
    np.testing.assert_allclose(96 - other_landmarks[..., 0], landmarks[..., 0], atol=1e-4)


def test_equal_scores_are_in_the_order_of_stride_row_column(operations):
    maps = empty_maps()
    for level in maps:
        level[3:5] = math.log(0.1)
    cells = [(0, 2, 5), (0, 3, 0), (0, 3, 1), (1, 0, 2), (2, 1, 0)]
    for level, row, column in reversed(cells):
        maps[level][0, row, column] = 2.0
    boxes, _, scores = operations.decode_faces(maps, threshold=0.5, overlap=0.3)
    expected = [
        ((column + 0.5) * STRIDES[level], (row + 0.5) * STRIDES[level]) for level, row, column in cells
    ]
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2, expected, atol=1e-3)
    assert (scores == scores[0]).all()


def test_saturated_scores_are_still_ranked(operations):
    maps = empty_maps()
    maps[0][0, 1, 1], maps[0][0, 5, 9] = 30, 40
    boxes, _, scores = operations.decode_faces(maps, threshold=0.5, overlap=0.3)
    np.testing.assert_array_equal(scores, [1, 1])
    assert boxes[0, 0] > boxes[1, 0]


def test_one_cell_by_hand(operations):
    maps = empty_maps()
    maps[1][:, 2, 3] = [0, 0.25, -0.5, math.log(2), math.log(3), *np.arange(10) / 10]
    boxes, landmarks, scores = operations.decode_faces(maps, threshold=0.5, overlap=0.3)
    # Centre of the cell: (3.5, 2.5) * 16 = (56, 40).
    np.testing.assert_allclose(boxes, [[60 - 16, 32 - 24, 60 + 16, 32 + 24]], rtol=1e-6)
    np.testing.assert_allclose(landmarks[0, :, 0], 56 + 16 * np.arange(0, 1, 0.2), rtol=1e-6)
    np.testing.assert_allclose(landmarks[0, :, 1], 40 + 16 * np.arange(0.1, 1.1, 0.2), rtol=1e-6)
    np.testing.assert_array_equal(scores, [0.5])


# 2 ** 21 strides of 8 px are the first position that is too far.
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -1e20, 2.0**21])
def test_cells_without_finite_faces_are_dropped(operations, value):
    for channel in [0, 1, 2, 3, 4, 5, 14]:
        maps = empty_maps()
        maps[0][0, 4, 4] = 3.0
        maps[0][0, 1, 1] = 5.0
        maps[0][channel, 1, 1] = value
        boxes, landmarks, scores = operations.decode_faces(maps, threshold=0.5, overlap=0.3)
        assert np.isfinite(boxes).all()
        assert np.isfinite(landmarks).all()
        assert len(scores) == (2 if kept_with(channel, value) else 1)


def test_a_face_at_the_furthest_position_is_kept(operations):
    maps = empty_maps()
    maps[0][0, 1, 1], maps[0][5, 1, 1] = 5.0, 2.0**21 - 3
    _, landmarks, scores = operations.decode_faces(maps, threshold=0.5, overlap=0.3)
    assert len(scores) == 1
    assert landmarks[0, 0, 0] == 2**24 - 24 + 12


def kept_with(channel, value):
    if channel == 0:
        return value > 0
    # Large sides are bounded, and exp(-inf) is a side of 0.
    return channel in (3, 4) and not np.isnan(value)


@pytest.mark.parametrize(
    ("log_side", "bounded"), [(7.9, 7.9), (8.0, 8.0), (8.1, 8.0), (1e30, 8.0), (-3.0, -3.0)]
)
def test_sides_are_bounded_above(operations, log_side, bounded):
    maps = empty_maps()
    maps[2][0, 1, 1], maps[2][3, 1, 1] = 5, log_side
    boxes, _, _ = operations.decode_faces(maps, threshold=0.5, overlap=0.3)
    np.testing.assert_allclose(boxes[0, 2] - boxes[0, 0], 32 * math.exp(bounded), rtol=1e-5)
    np.testing.assert_allclose(boxes[0, 3] - boxes[0, 1], 32, rtol=1e-5)


def test_scores_of_any_logit_are_finite(operations):
    maps = empty_maps()
    maps[0][0, 1, 1], maps[0][0, 5, 9] = -3e38, 3e38
    _, _, scores = operations.decode_faces(maps, threshold=0, overlap=1)
    assert (scores[0], scores[-1]) == (1, 0)


def test_no_face_has_the_right_shapes(operations):
    boxes, landmarks, scores = operations.decode_faces(empty_maps(), threshold=0.5, overlap=0.3)
    assert (boxes.shape, landmarks.shape, scores.shape) == ((0, 4), (0, 5, 2), (0,))


MAPS = empty_maps()


@pytest.mark.parametrize(
    ("maps", "error", "message"),
    [
        (MAPS[:2], ValueError, "maps must be 3 arrays, got 2; one for each of the strides 8, 16, 32"),
        (
            [MAPS[0], None, MAPS[2]],
            TypeError,
            "maps[1] must be float32 [15, H / stride, W / stride], got NoneType",
        ),
        (
            [MAPS[0].astype(float), *MAPS[1:]],
            TypeError,
            "maps[0] must be float32 [15, H / stride, W / stride], got fl",
        ),
        ([*MAPS[:2], MAPS[2][None]], ValueError, "got float32 [1, 15, 2, 3]; drop the batch axis"),
        ([*MAPS[:2], MAPS[2][..., ::-1]], ValueError, "maps[2] must be C-contiguous, got strides"),
    ],
)
def test_the_same_error_message_on_every_target(operations, maps, error, message):
    with pytest.raises(error) as raised:
        operations.decode_faces(maps, threshold=0.5, overlap=0.3)
    assert message in str(raised.value)


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan])
@pytest.mark.parametrize("name", ["threshold", "overlap"])
def test_limits_outside_0_and_1_are_rejected(operations, name, value):
    limits = {"threshold": 0.5, "overlap": 0.3, name: value}
    with pytest.raises(ValueError, match=rf"{name} must be in \[0, 1\], got {value:g}; it is a share"):
        operations.decode_faces(MAPS, **limits)
