"""The detector from frame to network and back, on a network whose faces are known exactly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import DETECTOR_SPEC, LANDMARKS, detector_graph, frame_with_cells

from fer_edge import models
from fer_edge.backends.ort import OrtBackend
from fer_edge.detection.detect import Detector, letterbox

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
    assert found.boxes.dtype == found.landmarks.dtype == found.scores.dtype == np.float32


def test_faces_are_sorted_by_score_and_the_best_are_kept(make_detector: Callable[..., Detector]) -> None:
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


class Scripted(OrtBackend):
    """The tiny network; adds faces of 32 network pixels to its outputs, by the width of the input."""

    faces: dict[int, list[tuple[int, int, float]]]
    widths: list[int]

    def run(self) -> list[np.ndarray]:
        """Adds the faces, given as (column, row) of the stride-8 grid and the score's logit."""
        outputs = super().run()
        self.widths.append(8 * outputs[0].shape[3])
        for column, row, logit in self.faces[8 * outputs[0].shape[3]]:
            outputs[0][0, 0, row, column] = logit
        return outputs


@pytest.fixture
def widths() -> list[int]:
    """The widths of the inputs that a scripted network has run on."""
    return []


@pytest.fixture
def scripted(detector_file: Path, widths: list[int]) -> Callable[..., Detector]:
    """A detector whose passes find the faces that the test specifies."""
    model = models.load(detector_file, "detector")

    def make(faces: dict[int, list[tuple[int, ...]]]) -> Detector:
        backend = Scripted(model, 1)
        backend.widths = widths
        backend.faces = {width: [(*face, 10)[:3] for face in found] for width, found in faces.items()}
        return Detector(backend, model.spec, threshold=0.5, min_face=16, max_faces=64)

    return make


def test_nothing_is_found_in_the_padding(scripted: Callable[..., Detector]) -> None:
    # The frame is 140 wide, and the last of the input's 20 columns stands for a face from 140 on.
    assert len(scripted({160: [(19, 5)]})(np.zeros((100, 140), np.uint8))) == 0
    assert len(scripted({160: [(18, 5)]})(np.zeros((100, 140), np.uint8))) == 1
    # It is 100 high: likewise row 14 of 16, which stands for a face from 100 on.
    assert len(scripted({160: [(5, 14)]})(np.zeros((100, 140), np.uint8))) == 0
    assert len(scripted({160: [(5, 13)]})(np.zeros((100, 140), np.uint8))) == 1


def test_a_face_keeps_its_landmarks_and_score_if_an_earlier_face_is_dropped(
    scripted: Callable[..., Detector],
) -> None:
    found = scripted({160: [(19, 5, 9), (5, 4, 3), (12, 7, 6)]})(np.zeros((100, 140), np.uint8))
    np.testing.assert_allclose(found.boxes, [[84, 44, 116, 76], [28, 20, 60, 52]], atol=1e-3)
    centres = np.array([[[100, 60]], [[44, 36]]])
    np.testing.assert_allclose(found.landmarks, LANDMARKS + centres, atol=1e-3)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-6.0, -3.0])), rtol=1e-5)


def test_max_faces_cuts_boxes_landmarks_and_scores_alike(make_detector: Callable[..., Detector]) -> None:
    frame = np.maximum(frame_with_cells((5, 5), grey=200), frame_with_cells((15, 5), (25, 9)))
    found = make_detector(max_faces=2)(frame)
    np.testing.assert_allclose(found.boxes[:, 0], [8 * 15 - 12, 8 * 25 - 12], atol=1e-3)
    np.testing.assert_allclose(found.landmarks[1], LANDMARKS + np.array([204, 76]), atol=1e-3)
    assert len(found.scores) == len(found.landmarks) == len(found) == 2
    assert len(make_detector(max_faces=3)(frame)) == 3


def test_the_padding_has_the_mean_of_the_spec(write_model: Callable[..., Path]) -> None:
    # White becomes 0 and black 1, so black pixels in the network's input are a face.
    spec = replace(DETECTOR_SPEC, mean=255.0, scale=-1 / 255)
    model = models.load(write_model(detector_graph(), spec), "detector")
    detector = Detector(OrtBackend(model, 1), spec, threshold=0.5, min_face=16, max_faces=64)
    plane = np.full((100, 140), 255, np.uint8)
    # Two black lines at the edges fill a quarter of a cell; repeated into the padding they would fill more.
    plane[:, -2:] = plane[-2:] = 0
    assert len(detector(plane)) == 0
    plane[40:48, 80:88] = 0
    assert len(detector(plane)) == 1


def test_of_equal_scores_the_finer_pass_keeps_the_face(scripted: Callable[..., Detector]) -> None:
    found = scripted({768: [(58, 42)], 128: [(9, 7)]})(np.zeros((512, 768), np.uint8))
    np.testing.assert_allclose(found.boxes, [[452, 324, 484, 356]], atol=1e-3)


def test_a_tall_frame_is_scaled_by_its_height(make_detector: Callable[..., Detector]) -> None:
    frame = np.kron(frame_with_cells((10, 7), width=160, height=320), np.ones((2, 2), np.uint8))
    np.testing.assert_allclose(make_detector()(frame).boxes, [[136, 88, 200, 152]], atol=1e-2)


@pytest.mark.parametrize("factor", [2, 3])
def test_min_face_sets_the_scale(make_detector: Callable[..., Detector], factor: int) -> None:
    frame = np.kron(frame_with_cells((10, 7), width=200, height=160), np.ones((factor, factor), np.uint8))
    found = make_detector(min_face=16.0 * factor)(frame)
    np.testing.assert_allclose(found.boxes, np.array([[68, 44, 100, 76]]) * factor, atol=1e-2)


@given(SIDES, SIDES, st.floats(0.05, 4))
def test_letterbox_round_trip(height: int, width: int, scale: float) -> None:
    matrix, (rows, columns) = letterbox((height, width), scale, 32)
    assert rows % 32 == columns % 32 == 0
    # The frame's lower right corner is in the input, and no whole block of 32 contains only padding.
    assert columns - 32 < width * scale + 1e-3
    assert rows - 32 < height * scale + 1e-3
    corner = np.array([width * scale, height * scale])
    assert (corner <= np.array([columns, rows]) + 1e-3).all()
    back = matrix[0] @ np.append(corner, 1)
    np.testing.assert_allclose(back, [width, height], rtol=1e-5)
    np.testing.assert_array_equal(matrix[0] @ np.array([0, 0, 1]), [0, 0])


@pytest.mark.parametrize(
    ("shape", "scale", "expected"),
    [((32, 64), 1, (32, 64)), ((33, 65), 1, (64, 96)), ((100, 10), 0.64, (64, 32)), ((1, 1), 1e-9, (32, 32))],
)
def test_the_networks_input(shape: tuple[int, int], scale: float, expected: tuple[int, int]) -> None:
    matrix, size = letterbox(shape, scale, 32)
    assert size == expected
    assert (matrix.dtype, matrix.shape) == (np.float32, (1, 2, 3))


def test_passes_find_faces_of_different_sizes_once(scripted: Callable[..., Detector]) -> None:
    # The second pass sees a sixth of the resolution: its faces have 192 frame pixels, the first's have 32.
    found = scripted({768: [(10, 10), (85, 50)], 128: [(11, 7)]})(np.zeros((512, 768), np.uint8))
    np.testing.assert_allclose(
        sorted(found.boxes.tolist()),
        [[68, 68, 100, 100], [456, 264, 648, 456], [668, 388, 700, 420]],
        atol=0.01,
    )


def test_all_three_passes_are_made_and_merged(scripted: Callable[..., Detector], widths: list[int]) -> None:
    # Faces of 32, 192 and 320 frame pixels; the first pass sees a part of the second's.
    passes = {1280: [(100, 10, 2.0), (43, 42, 1.0)], 224: [(7, 7, 3.0)], 128: [(11, 5, 4.0)]}
    found = scripted(passes)(np.zeros((640, 1280), np.uint8))
    assert widths == [1280, 224, 128]
    expected = [(760, 280, 1080, 600), (264, 264, 456, 456), (788, 68, 820, 100)]
    np.testing.assert_allclose(found.boxes, expected, atol=0.01)
    centres = np.array([(920, 440), (360, 360), (804, 84)])
    for points, centre, factor in zip(found.landmarks, centres, (10, 6, 1), strict=True):
        np.testing.assert_allclose(points, LANDMARKS * factor + centre, atol=0.01)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-4.0, -3.0, -2.0])), rtol=1e-5)
