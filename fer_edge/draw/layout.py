"""Decides what is written about each face, where, and how large.

A label never covers another face or another label, and is never outside the picture. Where there is no room
for the whole text beside its box it becomes smaller, then moves into the box or away from it with a leader
line; then it is shortened; then it is left out, and only the box is drawn. In a video, labels keep their
places where they can (see previous).
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fer_edge.arrays import I64
from fer_edge.draw.placement import Leader, Rectangle, Room, Wish
from fer_edge.draw.previous import Before, annotations_before
from fer_edge.draw.style import Sizes
from fer_edge.installation.import_opencv import opencv
from fer_edge.result import Face

# Where a label is in relation to its box.
Kind = Literal["beside", "inside", "away"]
# With more faces, charts would hide more of the picture than they say.
MAX_CHARTS = 3
# A chart covers at most this share of the picture.
MAX_CHART_SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class Label:
    """The text of one face.

    Attributes:
        lines: one or two lines of text.
        area: x0, y0, x1, y1 in pixels of the annotated picture; x1 and y1 are exclusive.
        text_px: height of a line.
        leader: the ends of a line from the box to the area; None if the area is at the box.
        rank: 0 for the whole text at the preferred size beside the box; the higher, the more was given up.
    """

    lines: tuple[str, ...]
    area: Rectangle
    text_px: int
    leader: Leader | None = None
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the annotations of a picture are, in its pixels; each tuple has one item a face.

    Attributes:
        boxes: inside the picture; x1 and y1 are exclusive.
        labels: None where there was no room.
        charts: None where there was no room, or none is wanted.
        sizes: of lines and texts.
        ids: of the faces; None for a face without one.
    """

    boxes: tuple[Rectangle, ...]
    labels: tuple[Label | None, ...]
    charts: tuple[Rectangle | None, ...]
    sizes: Sizes
    ids: tuple[int | None, ...]


def layout_labels(
    width: int, height: int, faces: Sequence[Face], *, charts: bool = True, previous: Layout | None = None
) -> Layout:
    """Places the labels and charts of faces in a picture.

    Args:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        faces: their boxes in pixels of this picture; the first is placed first.
        charts: whether charts of all probabilities are wanted.
        previous: the layout of the frame before, in a video; labels of faces with the same `id` then keep
            their places as long as there is room.

    Raises:
        ValueError: a box is not finite.
    """
    sizes = Sizes.of_picture(width, height)
    boxes = _boxes_in_picture(width, height, faces)
    room = Room((width, height), boxes, gap=sizes.line_px // 2 + 2)
    ids = tuple(getattr(face, "id", None) for face in faces)
    before = annotations_before(previous, boxes, ids)
    labels = _labels(room, faces, sizes, before)
    areas: list[Rectangle | None] = [None] * len(faces)
    if charts and len(faces) <= MAX_CHARTS:
        for index, face in enumerate(faces):
            if (area := _chart_area(room, index, face, sizes, before[index])) is not None:
                areas[index] = area
                room.take(area)
    rectangles = tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes.tolist())
    return Layout(rectangles, labels, tuple(areas), sizes, ids)


def size_of_label(lines: Sequence[str], text_px: int) -> tuple[int, int]:
    """Returns width and height of a label, with the space around its text."""
    padding = padding_of(text_px)
    width = max(text_width(line, text_px) for line in lines)
    return width + 2 * padding, len(lines) * text_px + 2 * padding


def padding_of(text_px: int) -> int:
    """Returns the space around a text."""
    return max(2, round(text_px / 5))


@functools.lru_cache(maxsize=4096)
def text_width(text: str, text_px: int) -> int:
    """Returns the width of a line of text in pixels."""
    cv2 = opencv()
    scale, thickness = font_of(text_px)
    width: int = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)[0][0]
    return width


def font_of(text_px: int) -> tuple[float, int]:
    """Returns scale and thickness of OpenCV's FONT_HERSHEY_SIMPLEX for a line of text of this height."""
    # At scale 1 a capital letter is 21 px high, and a line with descenders 30.
    return text_px / 30, max(1, text_px // 14)


def _boxes_in_picture(width: int, height: int, faces: Sequence[Face]) -> I64:
    boxes = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
    for index in np.flatnonzero(~np.isfinite(boxes).all(axis=1))[:1]:
        raise ValueError(
            f"faces[{index}].box must be four finite numbers x0, y0, x1, y1 in pixels, got {faces[index].box}"
        )
    # At least one pixel of each box is in the picture, so that a label can be connected to it.
    size = np.array((width, height))
    upper_left = np.clip(np.rint(boxes[:, :2]), 0, size - 1)
    lower_right = np.clip(np.rint(boxes[:, 2:]), upper_left + 1, size)
    return np.concatenate([upper_left, lower_right], axis=1).astype(np.int64)


def _labels(
    room: Room, faces: Sequence[Face], sizes: Sizes, before: Sequence[Before | None]
) -> tuple[Label | None, ...]:
    """Places the labels: first those that need not move, so that the others move around them."""
    labels: dict[int, Label | None] = {}
    for only_kept in (True, False):
        for index, face in enumerate(faces):
            former = before[index]
            if index in labels or (only_kept and former is None):
                continue
            label = _place(room, index, face, sizes, former)
            if only_kept and (former is None or label is None or not former.keeps(label)):
                continue
            labels[index] = label
            if label is not None:
                room.take(label.area, label.leader)
    return tuple(labels[index] for index in range(len(faces)))


def _place(room: Room, index: int, face: Face, sizes: Sizes, before: Before | None) -> Label | None:
    for rank, (kind, lines, text_px) in enumerate(_options(room, index, face, sizes, before)):
        size = size_of_label(lines, text_px)
        wish = Wish() if before is None else before.wish_for_label(rank, text_px)
        if kind == "away":
            if (found := room.away(index, size, wish)) is not None:
                return Label(lines, found[0], text_px, found[1], rank)
            continue
        if kind == "beside":
            area = room.beside(index, size, wish)
        else:
            area = room.inside(index, size, sizes.line_px, wish)
        if area is not None:
            return Label(lines, area, text_px, None, rank)
    return None


def _options(
    room: Room, index: int, face: Face, sizes: Sizes, before: Before | None
) -> Iterator[tuple[Kind, tuple[str, ...], int]]:
    """Yields kinds of places, lines and text sizes for a face, the preferred ones first."""
    preferred = sizes.text_px(int(room.boxes[index, 3] - room.boxes[index, 1]))
    text_sizes = [preferred, (preferred + sizes.small_text_px) // 2, sizes.small_text_px]
    if before is not None:
        text_sizes = [before.text_px(px) for px in text_sizes]
    for lines in _texts(face):
        # The same number of options for each text, so that ranks of two frames can be compared.
        yield from (("beside", lines, px) for px in text_sizes)
        yield from (("inside", lines, px) for px in text_sizes)
        yield "away", lines, text_sizes[-1]


def _texts(face: Face) -> list[tuple[str, ...]]:
    """Returns the lines of a label, the full ones first, then shorter ones."""
    number: int | None = getattr(face, "id", None)
    name = "" if number is None else f"#{number} "
    full = f"{name}{face.label} {face.confidence:.0%}"
    if face.abstain_reason is not None:
        return [(full, face.abstain_reason), (f"{name}{face.abstain_reason}",), (f"{name}?",)]
    shorter = [(f"{name}{face.label}",)]
    return [(full,), *shorter, *([(name.strip(),)] if name else [])]


def _chart_area(room: Room, index: int, face: Face, sizes: Sizes, before: Before | None) -> Rectangle | None:
    """Returns a free area for the chart of a face, right or left of its box; None if there is none."""
    x0, y0, x1, y1 = room.boxes[index].tolist()
    text_px = sizes.text_px(y1 - y0)
    width, height = size_of_chart(face.probabilities, text_px)
    if width * height > MAX_CHART_SHARE * room.size[0] * room.size[1]:
        return None
    # A label that begins above the box may be wider than the box.
    top = max(0, min(y0 + room.gap, room.size[1] - height))
    margin = 2 * room.gap
    wish = Wish() if before is None else before.wish_for_chart(text_px)
    return room.apart([(x1 + margin, top), (x0 - margin - width, top)], (width, height), wish)


def size_of_chart(labels: Iterable[str], text_px: int) -> tuple[int, int]:
    """Returns width and height of a chart with a line of text and a bar for each label."""
    names = [text_width(label, text_px) for label in labels]
    padding = padding_of(text_px)
    return max(names) + 5 * text_px + 3 * padding, len(names) * (text_px + padding) + padding
