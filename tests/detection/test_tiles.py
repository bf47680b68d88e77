"""Windows of a large input: every face is complete in a window that keeps it, and found once."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data
from tiny import LANDMARKS, frame_with_cells

from fer_edge import models
from fer_edge.backends.ort import OrtBackend
from fer_edge.detection.detect import Detector
from fer_edge.detection.scales import NETWORK_FACE_PX
from fer_edge.detection.tiles import MARGIN_PX, MAX_INPUT_PX, SLACK_PX, TILE_PX, Span, windows_from_sides

BLOCKS = st.integers(1, 1500)


@given(BLOCKS, BLOCKS, st.sampled_from([32, 64]))
def test_the_windows_cover_the_input_and_the_cores_overlap(rows: int, columns: int, multiple: int) -> None:
    height, width = rows * multiple, columns * multiple
    windows = windows_from_sides(height, width, multiple)
    for axis, length in ((0, height), (1, width)):
        spans = sorted({window[axis] for window in windows})
        assert spans[0].start == 0
        assert spans[-1].start + spans[-1].length == length
        assert (spans[0].core[0], spans[-1].core[1]) == (-math.inf, math.inf)
        for before, after in pairwise(spans):
            end = before.start + before.core[1]
            # The same band belongs to both, and a face in it is complete in both.
            assert end - (after.start + after.core[0]) == 2 * SLACK_PX >= NETWORK_FACE_PX[0]
            assert before.start + before.length - end >= NETWORK_FACE_PX[1] / 2
            assert after.core[0] >= NETWORK_FACE_PX[1] / 2
        assert all(s.start % multiple == s.length % multiple == 0 and s.length <= TILE_PX for s in spans)
    assert len(windows) == len({w.rows for w in windows}) * len({w.columns for w in windows})
    assert all(w.rows.length * w.columns.length <= MAX_INPUT_PX for w in windows)


def test_no_window_more_than_needed() -> None:
    step = TILE_PX - 2 * (MARGIN_PX + SLACK_PX) - 32
    for length, count in ((TILE_PX, 1), (TILE_PX + 32, 2), (TILE_PX + step, 2), (TILE_PX + step + 32, 3)):
        assert len(windows_from_sides(32, length, 32)) == len(windows_from_sides(length, 32, 32)) == count
    (window,) = windows_from_sides(32, 64, 32)
    assert window == (Span(0, 32, (-math.inf, math.inf)), Span(0, 64, (-math.inf, math.inf)))


@pytest.fixture
def shapes() -> list[tuple[int, ...]]:
    """The shapes of the inputs on which the network has run."""
    return []


@pytest.fixture
def detector(detector_file: Path, shapes: list[tuple[int, ...]]) -> Detector:
    """The tiny detector at one network pixel per frame pixel."""

    class Recording(OrtBackend):
        def run(self) -> list[np.ndarray]:
            outputs = super().run()
            shapes.append((8 * outputs[0].shape[2], 8 * outputs[0].shape[3]))
            return outputs

    model = models.load(detector_file, "detector")
    return Detector(Recording(model, 1), model.spec, threshold=0.5, min_face=16, max_faces=10_000)


def test_every_face_of_a_large_frame_is_found_once(detector: Detector, shapes: list[tuple[int, ...]]) -> None:
    # A face in every fifth cell: some lie on every seam, and none overlaps another.
    cells = [(column, row) for column in range(2, 525, 5) for row in range(2, 187, 5)]
    found = detector(frame_with_cells(*cells, width=4205, height=1501))
    assert len(shapes) > 6
    assert max(height * width for height, width in shapes) <= TILE_PX**2
    centres = np.array(sorted(cells)) * 8 + 4
    boxes = np.clip(np.concatenate([centres - 16, centres + 16], 1), 0, [4205, 1501, 4205, 1501])
    order = np.lexsort((found.landmarks[:, 2, 1], found.landmarks[:, 2, 0]))
    assert len(found) == len(cells)
    np.testing.assert_allclose(found.boxes[order], boxes, atol=2e-3)
    np.testing.assert_allclose(found.landmarks[order], LANDMARKS + centres[:, None], atol=2e-3)


@pytest.mark.parametrize("shape", [(480, 640), (1080, 1920), (1200, 1920), (896, 2560)])
def test_a_frame_that_is_small_enough_is_one_input(
    shape: tuple[int, int], detector: Detector, shapes: list[tuple[int, ...]]
) -> None:
    detector(np.zeros(shape, np.uint8))
    height, width = (-(-side // 32) * 32 for side in shape)
    assert shapes[0] == (height, width)


def test_every_face_of_a_panorama_is_found_once(detector: Detector, shapes: list[tuple[int, ...]]) -> None:
    # Fewer pixels than MAX_INPUT_PX, but a longer side than an engine takes.
    cells = [(column, row) for column in range(2, 330, 5) for row in (2, 7)]
    found = detector(frame_with_cells(*cells, width=2656, height=96))
    assert max(map(max, shapes)) <= TILE_PX
    assert len(found) == len(cells)
    order = np.lexsort((found.landmarks[:, 2, 1], found.landmarks[:, 2, 0]))
    centres = np.array(sorted(cells)) * 8 + 4
    np.testing.assert_allclose(found.landmarks[order], LANDMARKS + centres[:, None], atol=2e-3)


@pytest.fixture(scope="module")
def find() -> Callable[[np.ndarray], np.ndarray]:
    """Boxes by the embedded detector, from 16 px on."""
    model = models.load("face-luma", "detector")
    detector = Detector(
        OrtBackend(model, 1), model.spec, threshold=model.spec.threshold, min_face=16, max_faces=100
    )
    return lambda plane: detector(plane).boxes


@pytest.mark.parametrize("side", [24, 60, 110])
def test_real_faces_on_a_seam_are_found_once(find: Callable[[np.ndarray], np.ndarray], side: int) -> None:
    photo = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
    (whole,) = find(photo)
    scale = side / (whole[2] - whole[0])
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    columns = windows_from_sides(1280, 1920, 32)[1].columns
    seam = columns.start + columns.core[0] + SLACK_PX
    plane, centres = np.full((1280, 1920), 128, np.uint8), []
    for number, top in enumerate(range(0, 1280 - len(small), len(small))):
        # From 20 px left of the seam to 20 px right of it.
        left = int(seam - (whole[0] + whole[2]) / 2 * scale) + (number * 7) % 41 - 20
        plane[top : top + len(small), left : left + small.shape[1]] = small
        centres.append(((whole[:2] + whole[2:]) / 2 * scale) + (left, top))
    boxes = find(plane)
    found = (boxes[:, :2] + boxes[:, 2:]) / 2
    distances = np.linalg.norm(np.array(centres)[:, None] - found, axis=2)
    assert len(boxes) == len(centres) > 1
    assert (distances.min(axis=1) < side / 5).all()
    assert (distances.min(axis=0) < side / 5).all()
