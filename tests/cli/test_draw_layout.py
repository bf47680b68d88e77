"""The layout of annotated pictures: exact position and size of each mark, for several picture sizes."""

import cv2
import numpy as np
import pytest
from tiny import LABELS

from fer_edge.cli.draw import COLOURS, DIM, annotated
from fer_edge.result import Face

GROUND = 90
BLACK = (0, 0, 0)
# long side of the picture -> height of the text, width of a line, space around the text
MEASURES = {640: (13, 1, 3), 700: (14, 1, 3), 1000: (20, 2, 5), 1300: (26, 3, 6), 2000: (40, 4, 10)}
SIZES = pytest.mark.parametrize("side", MEASURES)


def _picture(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), GROUND, np.uint8)


def _face(box: tuple[float, ...], points: tuple = (), **changes: object) -> Face:
    shares = (0.0, 0.5, 0.02, 0.08, 0.1, 0.1, 0.15, 0.05)
    fields = {
        "label": "happiness",
        "confidence": 0.7,
        "probabilities": dict(zip(LABELS, shares, strict=True)),
    }
    return Face(box=box, landmarks=points, score=0.9, **(fields | changes))


def _text_width(text: str, side: int) -> int:
    height, line, _ = MEASURES[side]
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, height / 30, line)[0][0]


def _extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the True pixels; x1 and y1 are exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def _changed(drawn: np.ndarray) -> np.ndarray:
    return (drawn != GROUND).any(axis=2)


def _is(drawn: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    return (drawn == np.array(colour)).all(axis=2)


@SIZES
def test_the_box_is_a_light_line_on_a_dark_rim(side: int) -> None:
    _, line, _ = MEASURES[side]
    # So wide that there is no space for a chart; read below the text of the caption.
    drawn = annotated(_picture(side, side), [_face((10, 100.4, side - 10, side - 20.6))], LABELS)
    below = drawn[side // 2 :, side // 2]
    light, dark = (np.flatnonzero((below == shade).all(axis=1)) + side // 2 for shade in (COLOURS[1], BLACK))
    # OpenCV draws lines of 2, 3, 4, 5 px as 3, 5, 5, 7 px.
    assert len(light) == (1 if line == 1 else 2 * -(-line // 2) + 1)
    assert light.mean() == dark.mean() == side - 21
    assert light[0] - dark[0] == dark[-1] - light[-1] <= 2
    assert len(light) + len(dark) == dark[-1] - dark[0] + 1


@pytest.mark.parametrize(
    ("widths", "text"),
    # Half the width of the median face, from 12 px to the size for the picture.
    [((30, 30, 30), 15), ((20, 24, 200), 12), ((4,), 12), ((70, 70, 30), 35), ((90, 90, 90), 40)],
)
def test_the_text_fits_the_faces_of_a_group(widths: tuple[int, ...], text: int) -> None:
    faces = [_face((600 * k + 50, 200, 600 * k + 50 + width, 230)) for k, width in enumerate(widths)]
    drawn = annotated(_picture(300, 2000), faces, LABELS)
    captions = _is(drawn[:190, 50:52], COLOURS[1]).all(axis=1)
    pad = max(2, text // 4)
    assert _extent(captions[:, None])[1] == 200 - text - 2 * pad


@SIZES
@pytest.mark.parametrize("reason", [None, "face too small"])
def test_a_caption_is_directly_above_its_box(side: int, reason: str | None) -> None:
    height, _, pad = MEASURES[side]
    face = _face((100, 200, 180, 230), confidence=0.876, abstain_reason=reason)
    text = "happiness 88%" if reason is None else "happiness 88% (face too small)"
    colour = COLOURS[1] if reason is None else DIM
    drawn = annotated(_picture(300, side), [face], LABELS)
    above = drawn[: 200 - 5]
    width = _text_width(text, side) + 2 * pad
    assert _extent(_changed(above)) == (100, 200 - height - 2 * pad, 100 + width, 195)
    assert (above[200 - height - 2 * pad, 100 : 100 + width] == colour).all()
    # The text is black, with space around it; its height includes descenders.
    caption = drawn[200 - height - 2 * pad : 200 - pad, 100 : 100 + width]
    x0, y0, x1, y1 = _extent(~_is(caption, colour))
    assert pad <= x0 <= pad + height // 4
    assert width - pad - height // 3 <= x1 <= width - pad + 1
    # In OpenCV 4 brackets are higher than letters.
    assert pad // 2 <= y0 <= pad + height // 4
    assert pad + 0.9 * height <= y1 <= pad + height
    assert caption.min() < 60


@pytest.mark.parametrize(
    ("box", "top"),
    [
        # A caption of 19 px has room above, below, or neither.
        ((200, 19, 240, 100), 0),
        ((200, 18, 240, 100), 100),
        ((200, 5, 500, 461), 461),
        ((200, 5, 500, 462), 5),
        ((200, -5, 500, 462), 0),
        ((200, 0, 240, 480), 0),
    ],
)
def test_where_a_caption_stands_at_the_upper_edge(box: tuple[int, ...], top: int) -> None:
    drawn = annotated(_picture(480, 640), [_face(box)], LABELS)
    # A column left of the text, right of the box's own line.
    column = drawn[:, box[0] + 2]
    assert (column[top : top + 19] == COLOURS[1]).all()
    for row in {top - 3, top + 21} & set(range(480)) - set(range(box[1] - 3, box[1] + 4)):
        assert (column[row] != COLOURS[1]).any()


def test_a_caption_wider_than_the_picture_begins_at_its_edge() -> None:
    wide = annotated(_picture(1000, 1000), [_face((100, 200, 130, 230))], LABELS)
    narrow = annotated(_picture(1000, 60), [_face((20, 200, 50, 230))], LABELS)
    np.testing.assert_array_equal(narrow[170:195, :60], wide[170:195, 100:160])


@SIZES
def test_a_chart_has_a_bar_for_each_expression(side: int) -> None:
    height, line, pad = MEASURES[side]
    face = _face((50, 300, 150, 400))
    drawn = annotated(_picture(side, side), [face], LABELS)
    names = max(_text_width(label, side) for label in LABELS)
    x0, y0 = 150 + 2 * line, 300
    x1, y1 = x0 + names + 5 * height + 3 * pad, 300 + 8 * (height + pad) + pad
    # Right of the box and its rim, and below the caption, there is only the chart.
    rest = drawn.copy()
    rest[:, :x0] = GROUND
    rest[:300] = GROUND
    assert _extent(_changed(rest)) == (x0, y0, x1, y1)
    assert (drawn[y0, x0 + 1 : x1] == GROUND // 4).all()
    assert (drawn[y1 - 1, x0 + 1 : x1] == GROUND // 4).all()
    assert (drawn[y0:y1, x1 - 1] == GROUND // 4).all()
    chart, bars, step = drawn[y0:y1, x0:x1], 2 * pad + names, height + pad
    for row, (label, share) in enumerate(face.probabilities.items()):
        top = pad + row * step
        bar = _is(chart[top : top + step, bars:], COLOURS[row])
        length = round(share * (x1 - x0 - pad - bars)) + 1
        assert _extent(bar) == (0, 0, length, height + 1)
        assert bar[: height + 1, :length].all()
        name = chart[top : top + height, :bars]
        first, _, last, _ = _extent(name.max(axis=2) > GROUND)
        assert pad <= first <= pad + height // 4
        assert last <= pad + _text_width(label, side) + 1
        # The name of the most probable expression is white, the others are grey.
        assert (name.max() > 200) == (label == "happiness")


def test_a_probability_of_1_fills_the_chart() -> None:
    face = _face((50, 300, 150, 400), probabilities={"happiness": 1.0})
    drawn = annotated(_picture(1000, 1000), [face], ["happiness"])
    names = _text_width("happiness", 1000)
    x0 = 154
    bar = _is(drawn, COLOURS[0])[310, x0:]
    assert np.flatnonzero(bar)[0] == 10 + names
    assert np.flatnonzero(bar)[-1] == names + 100 + 15 - 5


def _chart_place(box: tuple[float, ...], height: int = 1000, width: int = 1000) -> tuple[int, ...]:
    """The area of a face's chart: its background has a quarter of the picture's brightness."""
    drawn = annotated(_picture(height, width), [_face(box)], LABELS)
    return _extent(_is(drawn, (GROUND // 4,) * 3))


CHART = (max(_text_width(label, 1000) for label in LABELS) + 115, 205)


def test_a_chart_is_right_of_its_box_or_left_of_it() -> None:
    width, height = CHART
    assert _chart_place((100, 300, 300, 500)) == (304, 300, 304 + width, 300 + height)
    last = 1000 - 4 - width
    assert _chart_place((last - 90, 300, last, 500)) == (1000 - width, 300, 1000, 300 + height)
    assert _chart_place((last - 90, 300, last + 1, 500)) == (last - 94 - width, 300, last - 94, 300 + height)
    # From here on only the left side has space, then neither side.
    assert _chart_place((4 + width, 300, 900, 500)) == (0, 300, width, 300 + height)
    drawn = annotated(_picture(1000, 1000), [_face((3 + width, 300, 900, 500))], LABELS)
    assert not _is(drawn, (GROUND // 4,) * 3).any()


def test_a_chart_stays_in_the_picture_in_height() -> None:
    width, height = CHART
    assert _chart_place((100, 950, 300, 990)) == (304, 1000 - height, 304 + width, 1000)
    assert _chart_place((100, -20, 300, 60))[1] == 0
    # A chart as high as the picture fits; a smaller picture has no chart.
    assert _chart_place((100, 40, 300, 190), height=height)[1::2] == (0, height)
    drawn = annotated(_picture(height - 1, 1000), [_face((100, 40, 300, 190))], LABELS)
    assert not _is(drawn, (GROUND // 4,) * 3).any()


@pytest.mark.parametrize(
    ("other", "free"),
    [
        # Touching the chart's edges, and over them by one pixel.
        ((304, 100, 404, 300), True),
        ((304, 100, 404, 301), False),
        ((250, 300, 304, 400), True),
        # Above this one stands its caption, 30 px high.
        ((304, 535, 404, 600), True),
        ((304, 534, 404, 600), False),
        ((304 + CHART[0], 300, 999, 400), True),
        ((303 + CHART[0], 300, 999, 400), False),
    ],
)
def test_a_chart_may_touch_another_face_but_not_cover_it(other: tuple[int, ...], free: bool) -> None:
    faces = [_face((100, 300, 300, 500)), _face(other, label="fear", probabilities={"fear" * 50: 1.0})]
    drawn = annotated(_picture(1000, 1000), faces, LABELS)
    assert _is(drawn, (GROUND // 4,) * 3).any() == free


@pytest.mark.parametrize(("side", "radius"), [(20, 1), (47, 1), (48, 2), (71, 2), (72, 3), (400, 3)])
def test_the_points_grow_with_the_width_of_the_face_up_to_a_bound(side: int, radius: int) -> None:
    x, y = 400 + side // 2, 200
    drawn = annotated(_picture(1000, 1000), [_face((400, 100, 400 + side, 500), ((x, y),))], LABELS)
    row = drawn[y, x : x + side // 2 - 4]
    assert _is(row[None], COLOURS[1])[0, :radius].all()
    assert (row[radius : radius + 3].min(axis=1) < GROUND).any()
    assert (row[radius + 3 :] == GROUND).all()


def test_the_colours_differ_and_black_text_is_readable_on_them() -> None:
    assert len(set(COLOURS)) == len(COLOURS) == len(LABELS)
    for number, colour in enumerate(COLOURS):
        face = _face((200, 200, 300, 300), label=LABELS[number])
        assert _is(annotated(_picture(640, 640), [face], LABELS)[300:301, 210:290], colour).all()
        # Relative luminance (WCAG 2): the contrast of black on it is at least 4.5.
        linear = [(c / 255 / 12.92 if c < 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in colour]
        assert (0.0722 * linear[0] + 0.7152 * linear[1] + 0.2126 * linear[2] + 0.05) / 0.05 > 4.5


def test_enlarging_is_smooth_and_keeps_the_aspect() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, 100:] = 200
    drawn = annotated(picture, [], LABELS)
    assert drawn.shape == (400, 800, 3)
    np.testing.assert_array_equal(drawn, cv2.resize(picture, (800, 400), interpolation=cv2.INTER_CUBIC))
    # 640 is large enough, and so is a high picture.
    double = annotated(np.tile(picture, (3, 2, 1))[:, :320], [], LABELS)
    expected = cv2.resize(np.tile(picture, (3, 2, 1))[:, :320], (640, 600), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(double, expected)
    for shape, expected in (
        ((10, 639), (20, 1278)),
        ((640, 3), (640, 3)),
        ((320, 3), (640, 6)),
        ((1, 1), (640, 640)),
    ):
        assert annotated(np.zeros((*shape, 3), np.uint8), [], LABELS).shape == (*expected, 3)
