"""The passes over one frame are merged: of two boxes of one face, only the better one is kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.detection.detect import CONTAINED, OVERLAP, merge
from fer_edge.result import Detections


def _detections(rows: list[tuple[float, float, float, float]], mark: int = 0) -> Detections:
    """Square boxes from (x, y, side, score); the landmarks contain a number that identifies the pass."""
    x, y, side, score = np.array(rows, np.float32).reshape(-1, 4).T
    boxes = np.stack([x, y, x + side, y + side], axis=1)
    return Detections(boxes, np.full((len(x), 5, 2), mark, np.float32), score)


def test_merge_keeps_the_better_of_two_on_one_face() -> None:
    fine = _detections([(0, 0, 10, 0.6), (50, 0, 10, 0.9)])
    coarse = _detections([(1, 0, 10, 0.7), (51, 0, 10, 0.8)])
    merged = merge(fine, coarse)
    np.testing.assert_allclose(merged.scores, [0.9, 0.7])
    np.testing.assert_allclose(merged.boxes[:, 0], [50, 1])


@pytest.mark.parametrize(
    ("x", "side", "count"),
    [
        # Two of side 10: (10 - x) / (10 + x) is 0.408 and 0.389, on either side of 0.4.
        (4.2, 10, 1),
        (4.4, 10, 2),
        # A box of side 4 across the edge of a box of side 10; 0.725 and 0.675 of it are inside.
        (7.1, 4, 1),
        (7.3, 4, 2),
    ],
)
def test_how_much_two_faces_may_overlap(x: float, side: float, count: int) -> None:
    one, other = _detections([(0, 0, 10, 0.9)]), _detections([(x, 0, side, 0.8)])
    assert len(merge(one, other)) == len(merge(other, one)) == count


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        # Exactly 4 of 10, and exactly 7 of 10: only a share above the limit drops a box.
        ((0, 0, 7, 1), (3, 0, 10, 1), 2),
        ((0, 0, 10, 1), (3, 0, 30, 1), 2),
        # Small faces that do not touch in one direction, or in both.
        ((0, 0, 0.5, 0.5), (0.75, 0, 1.25, 0.5), 2),
        ((0, 0, 0.5, 0.5), (0, 0.75, 0.5, 1.25), 2),
        ((0, 0, 0.5, 0.5), (5, 5, 5.5, 5.5), 2),
    ],
)
def test_boxes_that_overlap_little_are_kept(one: tuple, other: tuple, count: int) -> None:
    fine, coarse = (
        Detections(np.array([box], np.float32), np.zeros((1, 5, 2), np.float32), np.ones(1, np.float32))
        for box in (one, other)
    )
    assert len(merge(fine, coarse)) == count


def test_equal_scores_are_in_the_order_of_the_passes() -> None:
    rows = [(30 * number, 0, 10, 0.5 + number % 2 / 4) for number in range(40)]
    merged = merge(_detections(rows[:20]), _detections(rows[20:]))
    expected = [30 * number for number in [*range(1, 40, 2), *range(0, 40, 2)]]
    np.testing.assert_array_equal(merged.boxes[:, 0], expected)
    both = merge(_detections([(0, 0, 10, 0.6)]), _detections([(0, 0, 10, 0.6)], mark=1))
    assert both.landmarks[:, 0, 0].tolist() == [0]


def test_merge_drops_the_part_of_a_face() -> None:
    merged = merge(_detections([(5, 5, 4, 0.6), (9, 9, 4, 0.6)]), _detections([(0, 0, 10, 0.7)]))
    # Only a sixteenth of the second box is inside the face.
    np.testing.assert_allclose(merged.boxes[:, 0], [0, 9])


def test_a_box_that_only_overlaps_a_dropped_box_is_kept() -> None:
    # The coarse box overlaps both fine boxes. The better one drops it, so the other fine box is kept.
    merged = merge(_detections([(0, 0, 10, 0.6), (8, 0, 10, 0.9)]), _detections([(4, 0, 10, 0.8)]))
    np.testing.assert_allclose(merged.boxes[:, 0], [8, 0])


def test_merge_of_a_tie_keeps_one() -> None:
    assert len(merge(_detections([(0, 0, 10, 0.6)]), _detections([(0, 0, 10, 0.6)]))) == 1


ROWS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 30), st.floats(0.125, 1, width=16)),
    max_size=6,
)


@given(ROWS, ROWS)
def test_merge_never_keeps_two_of_one_face_nor_loses_the_best(fine: list, coarse: list) -> None:
    merged = merge(_detections(fine), _detections(coarse, mark=1))
    assert len(merged.boxes) == len(merged.landmarks) == len(merged.scores) <= len(fine) + len(coarse)
    assert (np.diff(merged.scores) <= 0).all()
    if fine or coarse:
        assert merged.scores[0] == max(row[3] for row in fine + coarse)
    marks = merged.landmarks[:, 0, 0]
    for one in merged.boxes[marks == 0]:
        for other in merged.boxes[marks == 1]:
            sides = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)
            areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
            assert sides.prod() <= OVERLAP * (sum(areas) - sides.prod()) + 1e-3
            assert sides.prod() <= CONTAINED * min(areas) + 1e-3
