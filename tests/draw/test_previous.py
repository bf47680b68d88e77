"""From frame to frame, labels keep their places."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_rules import check_layout
from made_faces import face

from fer_edge.draw import Annotator, Label, Layout, annotate, layout_labels
from fer_edge.draw.placement import Rectangle
from fer_edge.result import Box, Face

WIDTH, HEIGHT, FPS, FRAMES = 640, 480, 25, 100
# Places and sides of faces, which move and breathe around them.
SCENES: dict[str, tuple[float, list[tuple[float, float]]]] = {
    "shoulder to shoulder": (95, [(200, 240), (300, 240), (400, 240)]),
    "at the edges": (90, [(60, 60), (580, 60), (320, 70), (60, 420), (580, 430)]),
    "crowd": (70, [(60 + column * 105, 70 + row * 120) for row in range(3) for column in range(6)]),
}


def _video(name: str) -> Iterator[list[Face]]:
    """Faces that sway and come nearer, with the noise of a detector, and other texts now and then."""
    random = np.random.default_rng(0)
    side, places = SCENES[name]
    for time in np.arange(FRAMES) / FPS:
        faces = []
        for number, (x, y) in enumerate(places):
            noise = random.normal(0, 0.6, 3)
            middle_x = x + 0.25 * side * math.sin(math.tau * time / 4 + number) + noise[0]
            middle_y = y + 0.15 * side * math.sin(math.tau * time / 3 + 2 * number) + noise[1]
            half = side * (0.5 + 0.06 * math.sin(math.tau * time / 5 + number)) + noise[2] / 2
            box = (middle_x - half, middle_y - half, middle_x + half, middle_y + half)
            label = "happiness" if math.sin(time + number) > -0.7 else "neutral"
            reason = "face too far turned" if math.sin(0.7 * time + 3 * number) > 0.9 else None
            shown = face(box, label, reason, id=number + 1)
            faces.append(replace(shown, confidence=0.8 + 0.19 * math.sin(3 * time + number)))
        yield faces


def _distance(label: Label, box: Rectangle, former: Label, former_box: Rectangle) -> float:
    """How far the nearest corner of a label moved in relation to its box, in pixels."""
    way = np.abs(np.subtract(label.area, box) - np.subtract(former.area, former_box))
    down = min(way[1], way[3])
    return min(math.hypot(way[0], down), math.hypot(way[2], down))


def _changes(layouts: list[Layout]) -> tuple[int, int]:
    """Counts labels that jump by more than half a line, and changes of the text size."""
    jumps = sizes = 0
    for before, after in itertools.pairwise(layouts):
        for rows in zip(after.labels, after.boxes, before.labels, before.boxes, strict=True):
            label, former = rows[0], rows[2]
            if label is not None and former is not None:
                jumps += _distance(*rows) > label.text_px / 2
                sizes += label.text_px != former.text_px
    return jumps, sizes


# At present 7 of 13 jumps are left, 2 of 10, and 67 of 294; of the changes of size 6 of 15 and 6 of 40.
@pytest.mark.parametrize("name", SCENES)
def test_labels_of_moving_faces_jump_less(name: str) -> None:
    frames = list(_video(name))
    alone = _changes([layout_labels(WIDTH, HEIGHT, faces) for faces in frames])
    layouts: list[Layout] = []
    for faces in frames:
        layouts.append(layout_labels(WIDTH, HEIGHT, faces, previous=layouts[-1] if layouts else None))
        check_layout(layouts[-1], WIDTH, HEIGHT)
    jumps, sizes = _changes(layouts)
    assert jumps <= 0.6 * alone[0]
    assert sizes <= alone[1] / 2


coordinate = st.floats(0, 600)
boxes = st.lists(st.tuples(coordinate, coordinate, st.floats(5, 200)), min_size=1, max_size=8)
moves = st.lists(st.tuples(st.floats(-60, 60), st.floats(-60, 60)), min_size=8, max_size=8)


@settings(max_examples=60)
@given(boxes, moves)
def test_no_label_covers_another_face_after_a_move(
    places: list[tuple[float, float, float]], ways: list[tuple[float, float]]
) -> None:
    def faces(share: float) -> list[Face]:
        corners = [
            (x + share * way[0], y + share * way[1], s) for (x, y, s), way in zip(places, ways, strict=False)
        ]
        return [face((x, y, x + s, y + s), id=number) for number, (x, y, s) in enumerate(corners)]

    layout = layout_labels(WIDTH, HEIGHT, faces(0))
    for share in (0.5, 1.0):
        layout = layout_labels(WIDTH, HEIGHT, faces(share), previous=layout)
        check_layout(layout, WIDTH, HEIGHT)


BOX = (200, 200, 300, 300)


def _label(previous: Layout | None, *others: Box) -> tuple[Layout, Label]:
    """The label of a face beside others."""
    faces = [face(BOX, id=1), *(face(box, id=number) for number, box in enumerate(others, start=2))]
    layout = layout_labels(WIDTH, HEIGHT, faces, previous=previous)
    assert layout.labels[0] is not None
    return layout, layout.labels[0]


def test_a_label_leaves_its_side_only_for_want_of_room() -> None:
    layout, above = _label(None)
    assert above.area[3] == BOX[1]
    # A face comes from above.
    layout, moved = _label(layout, (150, 60, 420, 195))
    assert moved.area[1] >= BOX[3] - 1
    # It goes: the label stays, at a place that is as good.
    layout, stays = _label(layout)
    assert stays.area == moved.area
    # A new face has the preferred place.
    assert _label(None)[1].area == above.area


def test_a_label_returns_to_a_better_place_only_where_there_is_room_to_spare() -> None:
    walls = [(0, 150, 130, 480), (370, 150, 640, 480), (130, 305, 370, 480)]

    def with_gap(previous: Layout | None, gap: float) -> tuple[Layout, Label]:
        return _label(previous, (0, 0, 640, 200 - gap), *walls)

    layout, tight = with_gap(None, 3)
    assert tight.rank > 0
    needed = next(gap for gap in range(3, 100) if with_gap(None, gap)[1].rank < tight.rank)
    layout, still = with_gap(layout, needed)
    assert (still.area, still.text_px, still.lines) == (tight.area, tight.text_px, tight.lines)
    layout, better = with_gap(layout, 100)
    assert better.rank == with_gap(None, 100)[1].rank < tight.rank
    # And once it is there, it needs no spare room.
    rank = with_gap(None, needed)[1].rank
    layout, at_limit = with_gap(with_gap(layout, needed)[0], needed)
    assert at_limit.rank == rank


def test_charts_keep_their_side() -> None:
    def chart(previous: Layout | None, x: float) -> tuple[Layout, Rectangle | None]:
        faces = [face((200, 160, 320, 280), id=1), face((x, 160, x + 80, 240), id=2)]
        layout = layout_labels(WIDTH, HEIGHT, faces, previous=previous)
        return layout, layout.charts[0]

    layout, right = chart(None, 550)
    assert right is not None
    assert right[0] > 320
    layout, left = chart(layout, 380)
    assert left is not None
    assert left[2] < 200
    assert chart(layout, 550)[1] == left


def test_faces_without_ids_and_first_frames_are_as_in_a_photo() -> None:
    frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    annotator = Annotator()
    for x in (100.0, 300.0, 250.0):
        faces = [face((x, 100, x + 90, 190)), face((x + 95, 100, x + 185, 190))]
        np.testing.assert_array_equal(annotator(frame, faces), annotate(frame, faces))
    followed = [replace(shown) for shown in next(_video("crowd"))]
    np.testing.assert_array_equal(Annotator()(frame, followed), annotate(frame, followed))


@pytest.mark.parametrize(
    "make", [Annotator, lambda **given: annotate(np.zeros((9, 9), np.uint8), [], **given)]
)
def test_a_wrong_scale(make: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="scale must be a positive whole number, got 0"):
        make(scale=0)


def test_an_annotator_remembers() -> None:
    frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    annotator = Annotator(charts=False)
    pushed = [face(BOX, id=1), face((150, 60, 420, 195), id=2)]
    annotator(frame, pushed)
    kept = annotator(frame, [face(BOX, id=1)])
    assert not np.array_equal(kept, annotate(frame, [face(BOX, id=1)], charts=False))
    # Its label is below the box now.
    assert (kept[302:320, 205:240] != 90).any()
    assert (kept[170:195] == 90).all()
