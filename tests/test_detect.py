"""The detector's way from frame to network and back, on a network whose faces are known exactly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import LANDMARKS, frame_with_cells

from fer_edge import models
from fer_edge.backends.ort import OrtBackend
from fer_edge.detect import OVERLAP, Detector, letterbox, merge, scales_from_frame
from fer_edge.result import Detections

SIDES = st.integers(1, 5000)


@pytest.fixture
def make_detector(detector_file: Path) -> Callable[..., Detector]:
    """Detectors on the tiny network."""
    model = models.load(detector_file, "detector")
    backend = OrtBackend(model, 1)

    def make(**settings: object) -> Detector:
        usual: dict[str, object] = {"threshold": 0.5, "min_face": None, "max_faces": 64}
        return Detector(backend, model.spec, **(usual | settings))

    return make


def test_a_bright_cell_is_a_face_of_32_px(make_detector: Callable[..., Detector]) -> None:
    found = make_detector()(frame_with_cells((10, 7)))
    centre = np.array([84, 60], np.float32)
    np.testing.assert_allclose(found.boxes, [[68, 44, 100, 76]], atol=1e-3)
    np.testing.assert_allclose(found.landmarks, [LANDMARKS + centre], atol=1e-3)
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-10)))


def test_faces_come_by_falling_score_and_the_best_are_kept(make_detector: Callable[..., Detector]) -> None:
    frame = (
        frame_with_cells((15, 5)) + frame_with_cells((5, 5), grey=180) + frame_with_cells((25, 5), grey=200)
    )
    found = make_detector()(frame)
    np.testing.assert_allclose(found.boxes[:, 0], [8 * 15 - 12, 8 * 25 - 12, 8 * 5 - 12], atol=1e-3)
    assert (np.diff(found.scores) < 0).all()
    assert len(make_detector(max_faces=2)(frame)) == 2
    assert len(make_detector(threshold=0.99)(frame)) == 2
    assert make_detector(max_faces=1)(frame).boxes[0, 0] == pytest.approx(8 * 15 - 12, abs=1e-3)


def test_boxes_are_clipped_to_the_frame(make_detector: Callable[..., Detector]) -> None:
    found = make_detector()(frame_with_cells((0, 0), (39, 31)))
    np.testing.assert_allclose(
        sorted(found.boxes.tolist()), [[0, 0, 20, 20], [300, 236, 320, 256]], atol=1e-3
    )


def test_nothing_is_found_in_the_padding(detector_file: Path) -> None:
    model = models.load(detector_file, "detector")

    class Padding(OrtBackend):
        """Reports a face in the input's lower right cell, which lies outside of a frame of 300 x 200."""

        def run(self) -> list[np.ndarray]:
            outputs = super().run()
            outputs[0][0, 0, -1, -1] = 10
            return outputs

    detector = Detector(Padding(model, 1), model.spec, threshold=0.5, min_face=16, max_faces=64)
    assert len(detector(np.zeros((200, 289), np.uint8))) == 0


@pytest.mark.parametrize("factor", [2, 3])
def test_min_face_sets_the_scale(make_detector: Callable[..., Detector], factor: int) -> None:
    frame = np.kron(frame_with_cells((10, 7), width=200, height=160), np.ones((factor, factor), np.uint8))
    found = make_detector(min_face=16.0 * factor)(frame)
    np.testing.assert_allclose(found.boxes, np.array([[68, 44, 100, 76]]) * factor, atol=1e-2)


@pytest.mark.parametrize(
    ("long_px", "min_face", "expected"),
    [
        (640, None, (0.5, None)),
        (1920, None, (320 / 1920, None)),
        (100, None, (2.0, None)),
        (1, None, (2.0, None)),
        (640, 16, (1.0, None)),
        (1280, 16, (1.0, 0.25)),
        (1280, 32, (0.5, None)),
        (640, 200, (192 / 640, None)),
        (100, 200, (1.0, None)),
        (100, 4, (4.0, None)),
    ],
)
def test_scales(long_px: int, min_face: float | None, expected: tuple[float, float | None]) -> None:
    assert scales_from_frame(long_px, min_face) == pytest.approx(expected)


@given(SIDES, SIDES, st.floats(0.05, 4))
def test_letterbox_round_trip(height: int, width: int, scale: float) -> None:
    matrix, (rows, columns) = letterbox((height, width), scale, 32)
    assert rows % 32 == columns % 32 == 0
    # The frame's far corner lies in the input, and no whole block of 32 is padding only.
    assert columns - 32 < width * scale + 1e-3
    assert rows - 32 < height * scale + 1e-3
    corner = np.array([width * scale, height * scale])
    assert (corner <= np.array([columns, rows]) + 1e-3).all()
    back = matrix[0] @ np.append(corner, 1)
    np.testing.assert_allclose(back, [width, height], rtol=1e-5)
    np.testing.assert_array_equal(matrix[0] @ np.array([0, 0, 1]), [0, 0])


def test_a_small_and_a_large_face_are_found_by_two_passes(make_detector: Callable[..., Detector]) -> None:
    frame = np.zeros((768, 960), np.uint8)
    # One cell of the fine input (scale 1), too small to brighten a cell of the coarse one (scale 1/3).
    frame[80:88, 80:88] = 255
    # One cell of the coarse input, which is nine cells of the fine one.
    frame[480:504, 480:504] = 255
    fine_only = make_detector(min_face=16.0)(frame[:200, :320])
    both = make_detector(min_face=16.0)(frame)
    sides = both.boxes[:, 2] - both.boxes[:, 0]
    assert len(fine_only) == 1
    assert (np.abs(sides - 32) < 0.1).any()
    assert (np.abs(sides - 96) < 0.1).any()


def _detections(rows: list[tuple[float, float, float, float]], mark: int = 0) -> Detections:
    """Square boxes from (x, y, side, score); the landmarks carry a mark that tells the passes apart."""
    x, y, side, score = np.array(rows, np.float32).reshape(-1, 4).T
    boxes = np.stack([x, y, x + side, y + side], axis=1)
    return Detections(boxes, np.full((len(x), 5, 2), mark, np.float32), score)


def test_merge_keeps_the_better_of_two_on_one_face() -> None:
    fine = _detections([(0, 0, 10, 0.6), (50, 0, 10, 0.9)])
    coarse = _detections([(1, 0, 10, 0.7), (51, 0, 10, 0.8)])
    merged = merge(fine, coarse)
    np.testing.assert_allclose(merged.scores, [0.9, 0.7])
    np.testing.assert_allclose(merged.boxes[:, 0], [50, 1])


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
            assert _overlap(one, other) <= OVERLAP + 1e-5


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(sides.prod() / (sum(areas) - sides.prod()))
