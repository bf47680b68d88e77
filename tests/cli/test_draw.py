"""Annotated pictures: readable sizes, marks on the face, charts only where they cover no face or caption."""

import numpy as np
import pytest
from tiny import LABELS

from fer_edge.cli.draw import COLOURS, DIM, annotated
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
    # Pixels inside the face and far from it do not change.
    assert not changed[480:530, 320:480].any()
    assert not changed[:200, :].any()


def test_the_chart_is_beside_the_face_if_there_is_space() -> None:
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


def _at(picture: np.ndarray, x: float, y: float) -> tuple[int, ...]:
    return tuple(picture[round(y), round(x)].tolist())


@pytest.mark.parametrize(("side", "factor"), [(640, 1), (320, 2), (214, 3)])
def test_landmarks_and_box_are_drawn_where_they_are(side: int, factor: int) -> None:
    picture = np.full((side, side, 3), 90, np.uint8)
    face = _face((60, 80, 180, 200))
    drawn = annotated(picture, [face], LABELS)
    colour = COLOURS[LABELS.index("happiness")]
    for x, y in face.landmarks:
        assert _at(drawn, x * factor, y * factor) == colour
    for x, y in ((60, 140), (180, 140), (120, 80), (120, 200)):
        assert _at(drawn, x * factor, y * factor) == colour
    # The points have a dark rim; the face between them does not change.
    (x, y), radius = face.landmarks[0], 3
    assert _at(drawn, x * factor + radius + 1, y * factor) != (90, 90, 90)
    assert _at(drawn, 120 * factor, 128 * factor) == (90, 90, 90)


def test_charts_do_not_overlap() -> None:
    picture = np.full((800, 1000, 3), 90, np.uint8)
    # The chart of the first face overlaps the place of the second chart, and there is no space on the left.
    faces = [_face((50, 100, 350, 200)), _face((50, 240, 350, 340))]
    both = annotated(picture, faces, LABELS)
    first = annotated(picture, faces[:1], LABELS)
    assert (first[120:290, 370:500] != 90).any(axis=2).mean() > 0.99
    np.testing.assert_array_equal(both[:, 370:], first[:, 370:])
    # With space for both, both are drawn.
    apart = [_face((50, 100, 350, 200)), _face((50, 440, 350, 540))]
    drawn = annotated(picture, apart, LABELS)
    for top in (120, 460):
        assert (drawn[top : top + 170, 370:500] != 90).any(axis=2).mean() > 0.99


def test_no_chart_covers_a_caption() -> None:
    picture = np.full((800, 1000, 3), 90, np.uint8)
    faces = [_face((50, 300, 250, 500)), _face((270, 610, 470, 790))]
    # The caption of the second face is above its box, at y 580 to 610, and extends far to the right.
    alone = annotated(picture, faces[1:], LABELS)
    both = annotated(picture, faces, LABELS)
    np.testing.assert_array_equal(both[580:610, 270:470], alone[580:610, 270:470])


def _caption_of(drawn: np.ndarray, top: int, bottom: int) -> np.ndarray:
    """The pixels of these rows that are not background, cropped to their columns."""
    rows = drawn[top:bottom]
    columns = np.flatnonzero((rows != 90).any(axis=(0, 2)))
    return rows[:, columns[0] : columns[-1] + 1]


def test_captions_are_whole_at_every_edge() -> None:
    picture = np.full((480, 640, 3), 90, np.uint8)
    # The rows above the box and its rim contain only the caption, which is 19 px high.
    expected = _caption_of(annotated(picture, [_face((200, 100, 240, 140))], LABELS), 81, 97)
    assert expected.shape[1] > 80
    for x0 in (0, 300, 600, 620):
        drawn = annotated(picture, [_face((x0, 100, x0 + 40, 140))], LABELS)
        np.testing.assert_array_equal(_caption_of(drawn, 81, 97), expected)
    # Without space above the box it is below; without space there either, inside at the top.
    below = annotated(picture, [_face((200, 5, 240, 140))], LABELS)
    np.testing.assert_array_equal(below[140:156, 200 : 200 + expected.shape[1]], expected)
    inside = annotated(picture, [_face((0, 0, 640, 480))], LABELS)
    np.testing.assert_array_equal(inside[:16, : expected.shape[1]], expected)
