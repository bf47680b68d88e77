"""Annotated pictures: legible sizes, marks where the face is, charts only where they cover nothing."""

import numpy as np
import pytest
from tiny import LABELS

from fer_edge.cli.draw import DIM, annotated
from fer_edge.result import Face


def _face(
    box: tuple[float, float, float, float], label: str = "happiness", abstain_reason: str | None = None
) -> Face:
    x0, y0, x1, y1 = box
    points = tuple((x0 + (x1 - x0) * x, y0 + (y1 - y0) * y) for x, y in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6)))
    rest = dict.fromkeys(LABELS, 0.3 / 7)
    return Face(box, points, 0.9, label, 0.7, rest | {label: 0.7}, abstain_reason)


def _changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after).any(axis=2)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1000, 700), (1000, 700)), ((480, 640), (480, 640)), ((200, 320), (400, 640)), ((48, 48), (672, 672))],
)
def test_small_pictures_are_enlarged_by_a_whole_factor(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    picture = np.full((*shape, 3), 90, np.uint8)
    drawn = annotated(picture, [], LABELS)
    assert drawn.shape == (*expected, 3)
    assert (drawn == 90).all()
    assert not np.shares_memory(picture, drawn)


def test_the_input_stays_and_the_box_is_marked() -> None:
    picture = np.full((800, 1000, 3), 90, np.uint8)
    drawn = annotated(picture, [_face((300, 300, 500, 550))], LABELS)
    assert (picture == 90).all()
    changed = _changed(picture, drawn)
    for y, x in ((300, 400), (550, 400), (425, 300), (425, 500), (400, 360)):
        assert changed[y - 1 : y + 2, x - 1 : x + 2].any()
    # The inside of the face stays visible, and so does everything far away.
    assert not changed[480:530, 320:480].any()
    assert not changed[:200, :].any()


def test_the_chart_stands_beside_the_face_where_there_is_room() -> None:
    picture = np.full((800, 1000, 3), 90, np.uint8)
    right = _changed(picture, annotated(picture, [_face((50, 300, 250, 500))], LABELS))
    left = _changed(picture, annotated(picture, [_face((750, 300, 950, 500))], LABELS))
    assert right[400, 260:400].all()
    assert left[400, 600:740].all()


def test_no_chart_covers_another_face() -> None:
    picture = np.full((400, 640, 3), 90, np.uint8)
    boxes = [(10.0, 100.0, 310.0, 300.0), (330.0, 100.0, 630.0, 300.0)]
    changed = _changed(picture, annotated(picture, [_face(box) for box in boxes], LABELS))
    assert not changed[240:290, 20:300].any()
    assert not changed[240:290, 340:620].any()


@pytest.mark.parametrize(
    "box", [(0, 0, 640, 480), (0, 0, 20, 20), (620, 460, 640, 480), (300, 0, 340, 30), (5, 5, 6, 6)]
)
def test_faces_at_the_edges_are_drawn_whole(box: tuple[float, float, float, float]) -> None:
    picture = np.full((480, 640, 3), 90, np.uint8)
    changed = _changed(picture, annotated(picture, [_face(box)], LABELS))
    # A caption of one line is at least 100 x 12 pixels.
    assert changed.sum() > 1200


def test_an_abstained_face_is_grey() -> None:
    picture = np.full((480, 640, 3), 90, np.uint8)
    sure = annotated(picture, [_face((200, 200, 300, 300))], LABELS)
    unsure = annotated(picture, [_face((200, 200, 300, 300), abstain_reason="face too small")], LABELS)
    assert (unsure[300, 220:280] == DIM).all()
    assert not (sure[300, 220:280] == DIM).all()


def test_labels_of_a_users_own_model_have_colours_too() -> None:
    labels = [f"label {number}" for number in range(20)]
    face = Face((10, 10, 90, 90), (), 1.0, labels[-1], 0.5, dict.fromkeys(labels, 0.05))
    assert annotated(np.zeros((100, 640, 3), np.uint8), [face], labels).any()
