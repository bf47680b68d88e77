"""Detection near known faces finds what a search of the whole frame finds."""

from collections.abc import Callable

import numpy as np
import pytest
import skimage.data
from tiny import frame_with_cells

from fer_edge import Recognizer
from fer_edge.detection import detect_near
from fer_edge.detection.detect_near import distinct
from fer_edge.result import Detections


def _around(frame: np.ndarray, recognizer: Recognizer, boxes: list[tuple[float, ...]]) -> Detections:
    with recognizer.stages(frame) as stages:
        return stages.search_near(np.array(boxes, np.float32).reshape(-1, 4), 0.5)


@pytest.mark.parametrize("shift", [(0, 0), (9, -7), (-14, 14)])
def test_a_window_finds_the_face_of_a_search(recognizer: Recognizer, shift: tuple[int, int]) -> None:
    frame = frame_with_cells((10, 7), (30, 25))
    with recognizer.stages(frame) as stages:
        whole = stages.search()
        near = stages.search_near(whole.boxes + np.tile(np.array(shift, np.float32), 2), 0.5)
    assert len(near) == 2
    for part in ("boxes", "landmarks", "scores"):
        np.testing.assert_allclose(getattr(near, part), getattr(whole, part), atol=1e-3)


def test_a_window_shows_only_its_part_of_the_frame(recognizer: Recognizer) -> None:
    frame = frame_with_cells((3, 3), (34, 26))
    near = _around(frame, recognizer, [(12, 12, 44, 44)])
    np.testing.assert_allclose(near.boxes, [(12, 12, 44, 44)], atol=1e-3)


@pytest.mark.parametrize("size", [(256, 320), (8, 8), (31, 700), (480, 640)])
def test_boxes_at_and_beyond_the_edge_of_frames_of_all_sizes(
    recognizer: Recognizer, size: tuple[int, int]
) -> None:
    boxes = [
        (-50, -50, -10, -10),
        (0, 0, 1e5, 1e5),
        (size[1], size[0], size[1] + 9, size[0] + 9),
        (5, 5, 5, 5),
    ]
    assert len(_around(np.zeros(size, np.uint8), recognizer, boxes)) == 0
    assert len(_around(np.zeros(size, np.uint8), recognizer, [])) == 0


def test_two_boxes_of_one_face_give_one_face(recognizer: Recognizer) -> None:
    frame = frame_with_cells((10, 7))
    near = _around(frame, recognizer, [(68, 44, 100, 76), (72, 48, 104, 80)])
    assert len(near) == 1


def test_many_windows_are_several_batches(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [(3, 3), (10, 7), (20, 16), (30, 25), (34, 10)]
    frame = frame_with_cells(*cells)
    boxes = [(8 * x - 12, 8 * y - 12, 8 * x + 20, 8 * y + 20) for x, y in cells]
    expected = _around(frame, recognizer, boxes)
    assert len(expected) == len(cells)
    batches = []
    backend = recognizer._detect_near._backend
    run = backend.run
    monkeypatch.setattr(detect_near, "MAX_INPUT_PX", 2 * 96 * 96)
    monkeypatch.setattr(backend, "run", lambda: batches.append(1) or run())
    found = _around(frame, recognizer, boxes)
    assert len(batches) == 3
    for part in ("boxes", "landmarks", "scores"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))


def test_windows_of_several_sizes_do_not_depend_on_each_other(
    make_recognizer: Callable[..., Recognizer],
) -> None:
    frame = frame_with_cells((3, 3), (20, 16), (34, 26))
    recognizer = make_recognizer()
    boxes = [(12, 12, 44, 44), (100, 80, 230, 200), (264, 200, 296, 232)]
    together = _around(frame, recognizer, boxes)
    alone = [_around(frame, recognizer, [box]) for box in boxes]
    for one in alone:
        distance = np.abs(together.boxes[:, None] - one.boxes[None]).max(axis=2).min(axis=0)
        assert (distance < 1e-3).all()


def test_on_a_photograph_the_landmarks_agree_with_a_search() -> None:
    frame = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
    with Recognizer(threads=1) as recognizer, recognizer.stages(frame) as stages:
        whole = stages.search()
        near = stages.search_near(whole.boxes + np.float32(3), 0.5)
    assert len(whole) == len(near) == 1
    eye_px = np.hypot(*(whole.landmarks[0, 1] - whole.landmarks[0, 0]))
    apart = np.hypot(*(near.landmarks[0] - whole.landmarks[0]).T)
    assert apart.max() < 0.03 * eye_px


def test_distinct_keeps_the_best_of_each_face() -> None:
    boxes = np.array([(0, 0, 10, 10), (1, 0, 11, 10), (40, 0, 50, 10), (2, 2, 6, 6)], np.float32)
    found = distinct(
        Detections(boxes, np.zeros((4, 5, 2), np.float32), np.array([0.6, 0.9, 0.7, 0.8], np.float32))
    )
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])
    assert found.boxes[:, 0].tolist() == [1, 40]
