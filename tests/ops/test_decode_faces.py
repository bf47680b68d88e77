"""decode_faces: every target against the reference, suppression against a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_edge import ops

STRIDES = (8, 16, 32)
REFERENCE = ops.operations("reference")


def random_maps(seed: int, height: int = 96, width: int = 160, faces: float = 0.1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    maps = []
    for stride in STRIDES:
        level = rng.normal(0, 0.4, (15, height // stride, width // stride)).astype(np.float32)
        level[0] = np.where(rng.random(level[0].shape) < faces, rng.normal(1, 1, level[0].shape), -6)
        level[3:5] += 0.8
        maps.append(level)
    return maps


def empty_maps() -> list[np.ndarray]:
    maps = [np.zeros((15, 96 // s, 96 // s), np.float32) for s in STRIDES]
    for level in maps:
        level[0] = -20
    return maps


def overlap_of(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.maximum(high - low, 0))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


@pytest.mark.parametrize("seed", range(12))
def test_targets_agree_with_the_reference(target: ops.Operations, seed: int):
    maps = random_maps(
        seed, *((32, 32), (96, 160), (224, 96))[seed % 3], faces=(0.0, 0.03, 0.5, 1.0)[seed % 4]
    )
    ours = target.decode_faces(maps, threshold=0.5, overlap=0.4)
    theirs = REFERENCE.decode_faces(maps, threshold=0.5, overlap=0.4)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


def test_one_face_by_hand(target: ops.Operations):
    maps = empty_maps()
    level = maps[1]
    level[:, 2, 3] = [0.0, 0.25, -0.5, np.log(2), np.log(3), *np.arange(10) / 4]
    boxes, landmarks, scores = target.decode_faces(maps, threshold=0.5, overlap=0.4)
    centre = np.array([3.5 * 16 + 4, 2.5 * 16 - 8])
    half = np.array([16, 24])
    np.testing.assert_allclose(boxes[0], np.concatenate([centre - half, centre + half]), rtol=1e-6)
    expected = np.array([56.0, 40.0]) + np.arange(10).reshape(5, 2) * 4
    np.testing.assert_allclose(landmarks[0], expected, rtol=1e-6)
    np.testing.assert_allclose(scores, [0.5])


def test_no_face_has_the_right_shapes(target: ops.Operations):
    boxes, landmarks, scores = target.decode_faces(empty_maps(), threshold=0.5, overlap=0.4)
    assert (boxes.shape, landmarks.shape, scores.shape) == ((0, 4), (0, 5, 2), (0,))


def test_what_is_no_number_is_no_face(target: ops.Operations):
    maps = empty_maps()
    maps[0][0, 1, 1] = np.nan
    maps[0][0, 3, 3] = 5
    maps[0][3, 3, 3] = np.nan
    maps[1][0, 2, 2] = 5
    maps[1][7, 2, 2] = np.inf
    assert len(target.decode_faces(maps, threshold=0.5, overlap=0.4)[2]) == 0


def test_a_huge_log_size_stays_finite(target: ops.Operations):
    maps = empty_maps()
    maps[2][:, 1, 1] = 0
    maps[2][0, 1, 1] = 3
    maps[2][3:5, 1, 1] = 500
    boxes, _, _ = target.decode_faces(maps, threshold=0.5, overlap=0.4)
    assert np.isfinite(boxes).all()
    assert len(boxes) == 1


def test_equal_scores_stand_in_the_order_of_stride_row_column(target: ops.Operations):
    maps = empty_maps()
    for level in maps:
        level[0, ::2, ::2] = 2.0
        level[3:5] = -1
    boxes, _, scores = target.decode_faces(maps, threshold=0.5, overlap=0.4)
    assert (scores == scores[0]).all()
    sides = boxes[:, 2] - boxes[:, 0]
    assert (np.diff(sides) >= -1e-4).all()
    first = boxes[np.isclose(sides, sides[0])]
    assert (np.lexsort((first[:, 0], first[:, 1])) == np.arange(len(first))).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.05, 0.9), st.floats(0.0, 1.0))
def test_suppression_is_the_plain_loop(seed: int, threshold: float, overlap: float):
    maps = random_maps(seed, 64, 64, faces=0.4)
    everything = REFERENCE.decode_faces(maps, threshold=threshold, overlap=1.0)[0]
    kept: list[np.ndarray] = []
    margin = np.inf
    for box in everything:
        values = [overlap_of(box, other) for other in kept]
        margin = min([margin, *(abs(v - overlap) for v in values)])
        if all(v <= overlap for v in values):
            kept.append(box)
    if margin < 1e-4:
        return  # a pair lies on the limit, where rounding decides
    for name in ops.targets():
        boxes, _, scores = ops.operations(name).decode_faces(maps, threshold=threshold, overlap=overlap)
        np.testing.assert_allclose(boxes, np.array(kept).reshape(-1, 4), rtol=1e-5, atol=1e-3)
        assert (np.diff(scores) <= 0).all()
        assert (scores >= threshold - 1e-6).all()


def test_wrong_arguments_are_named(target: ops.Operations):
    maps = empty_maps()
    with pytest.raises(ValueError, match="maps must be 3"):
        target.decode_faces(maps[:2], threshold=0.5, overlap=0.4)
    with pytest.raises(ValueError, match=r"maps\[1\] must be"):
        target.decode_faces([maps[0], maps[1][:14], maps[2]], threshold=0.5, overlap=0.4)
    with pytest.raises(TypeError, match=r"maps\[0\] must be"):
        target.decode_faces([maps[0].astype(np.float64), *maps[1:]], threshold=0.5, overlap=0.4)
    with pytest.raises(ValueError, match="threshold must be"):
        target.decode_faces(maps, threshold=50, overlap=0.4)
