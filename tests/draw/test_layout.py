"""Where labels are: exact properties for made arrangements and for random ones."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_rules import check_layout
from made_faces import ARRANGEMENTS, arranged, face, faces_at

from fer_edge.draw import layout_labels
from fer_edge.result import Face

PICTURES = ((320, 240), (640, 480), (1280, 720), (3840, 2160))


@pytest.mark.parametrize(("width", "height"), PICTURES)
@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_no_label_covers_another_face_or_label(name: str, width: int, height: int) -> None:
    faces = arranged(name, height)
    layout = layout_labels(width, height, faces)
    assert len(layout.boxes) == len(layout.labels) == len(layout.charts) == len(faces)
    check_layout(layout, width, height)
    assert layout_labels(width, height, faces) == layout


coordinate = st.floats(-200, 1500)


@settings(max_examples=40)
@given(st.lists(st.tuples(coordinate, coordinate, st.floats(0, 500), st.floats(0, 500)), max_size=12))
def test_no_label_covers_another_face_wherever_faces_are(corners: list[tuple[float, ...]]) -> None:
    faces = faces_at([(x, y, x + width, y + height) for x, y, width, height in corners])
    check_layout(layout_labels(1280, 720, faces), 1280, 720)


@pytest.mark.parametrize(("width", "height"), PICTURES[1:])
@pytest.mark.parametrize("name", ["one", "whole picture", "group", "corners", "row shoulder to shoulder"])
def test_where_there_is_room_every_label_is_whole(name: str, width: int, height: int) -> None:
    for label in layout_labels(width, height, arranged(name, height)).labels:
        assert label is not None
        assert "70%" in label.lines[0]


def test_a_group_has_its_labels_at_the_boxes() -> None:
    layout = layout_labels(1280, 720, arranged("group", 720))
    for box, label in zip(layout.boxes, layout.labels, strict=True):
        assert label is not None
        assert label.leader is None
        # Above the box, beginning with it.
        assert (label.area[0], label.area[3]) == (box[0], box[1])


def test_a_label_away_from_its_box_has_a_line_to_it() -> None:
    layout = layout_labels(1280, 720, arranged("row shoulder to shoulder", 720))
    assert sum(label is not None and label.leader is not None for label in layout.labels) >= 2
    nested = layout_labels(640, 480, arranged("nested", 480)).labels
    assert nested[2] is not None
    assert nested[2].leader is not None


def test_without_room_text_is_shortened_then_left_out() -> None:
    labels = layout_labels(1280, 720, arranged("picture full of faces", 720)).labels
    assert labels.count(None) > 10
    lines = {label.lines for label in labels if label is not None}
    assert ("?",) in lines
    # A picture narrower than any text.
    assert layout_labels(20, 480, [face((0, 0, 20, 100))]).labels == (None,)


@pytest.mark.parametrize(
    ("shown", "lines"),
    [
        (face((10, 200, 90, 300)), ("happiness 70%",)),
        (face((10, 200, 90, 300), id=12), ("#12 happiness 70%",)),
        (face((10, 200, 90, 300), "fear", "face covered"), ("fear 70%", "face covered")),
        (face((10, 200, 90, 300), "fear", "face covered", id=3), ("#3 fear 70%", "face covered")),
    ],
)
def test_what_is_written(shown: Face, lines: tuple[str, ...]) -> None:
    label = layout_labels(640, 480, [shown]).labels[0]
    assert label is not None
    assert label.lines == lines


@pytest.mark.parametrize(
    ("reason", "number", "lines"),
    [
        (None, {}, [("happiness",), None]),
        (None, {"id": 7}, [("#7 happiness",), ("#7",)]),
        ("face covered", {"id": 7}, [("#7 face covered",), ("#7 ?",)]),
    ],
)
def test_how_text_is_shortened(reason: str | None, number: dict[str, int], lines: list[object]) -> None:
    shown = face((0, 0, 90, 30), "happiness", reason, **number)
    found = [layout_labels(width, 60, [shown]).labels[0] for width in range(200, 0, -4)]
    texts = list(dict.fromkeys(None if label is None else label.lines for label in found))
    assert texts[1 : 1 + len(lines)] == lines
    assert texts[-1] is None


def test_text_follows_the_face_and_the_picture() -> None:
    def text_px(width: int, side: float) -> int:
        label = layout_labels(
            width, width, [face((width / 4, width / 4, width / 4 + side, width / 4 + side))]
        )
        assert label.labels[0] is not None
        return label.labels[0].text_px

    assert [text_px(1280, side) for side in (20, 90, 140, 190, 400)] == [13, 13, 20, 27, 28]
    assert [text_px(3840, side) for side in (20, 400, 1000)] == [40, 57, 85]
    assert [text_px(320, side) for side in (20, 60, 100)] == [12, 12, 14]


def test_charts_are_beside_at_most_three_faces() -> None:
    right, left = face((50, 300, 250, 500)), face((1000, 100, 1200, 300))
    boxes, charts = (layout := layout_labels(1280, 720, [right, left])).boxes, layout.charts
    assert charts[0] is not None
    assert charts[1] is not None
    assert boxes[0][2] < charts[0][0] < boxes[0][2] + 20
    assert boxes[1][0] - 20 < charts[1][2] < boxes[1][0]
    assert layout_labels(1280, 720, [right, left], charts=False).charts == (None, None)
    assert layout_labels(1280, 720, [right, left] * 2).charts == (None,) * 4
    # In a small picture a chart would cover too much.
    assert layout_labels(640, 360, [face((100, 100, 180, 180))]).charts != (None,)
    assert layout_labels(320, 240, [face((50, 50, 90, 90))]).charts == (None,)
    # There is no room on either side.
    assert layout_labels(640, 480, [face((100, 100, 540, 400))]).charts == (None,)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_box_that_is_not_finite_is_named(value: float) -> None:
    with pytest.raises(ValueError, match=r"faces\[1\]\.box must be four finite numbers"):
        layout_labels(640, 480, [face((0, 0, 9, 9)), face((0, 0, value, 9))])
