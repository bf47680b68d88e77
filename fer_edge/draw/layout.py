"""Decides what is written about each face, where, and how large.

A label never covers another face or another label, and is never outside the picture. Where there is no room
for the whole text beside its box it becomes smaller, then moves into the box or away from it with a leader
line; then it is shortened; then it is left out, and only the box is drawn.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fer_edge.arrays import I64
from fer_edge.draw.placement import Leader, Rectangle, Room
from fer_edge.draw.style import Sizes
from fer_edge.installation.import_opencv import opencv
from fer_edge.result import Face

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
    """

    lines: tuple[str, ...]
    area: Rectangle
    text_px: int
    leader: Leader | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the annotations of a picture are, in its pixels; each tuple has one item a face.

    Attributes:
        boxes: inside the picture; x1 and y1 are exclusive.
        labels: None where there was no room.
        charts: None where there was no room, or none is wanted.
        sizes: of lines and texts.
    """

    boxes: tuple[Rectangle, ...]
    labels: tuple[Label | None, ...]
    charts: tuple[Rectangle | None, ...]
    sizes: Sizes


def layout_labels(width: int, height: int, faces: Sequence[Face], *, charts: bool = True) -> Layout:
    """Places the labels and charts of faces in a picture.

    Args:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        faces: their boxes in pixels of this picture; the first is placed first.
        charts: whether charts of all probabilities are wanted.

    Raises:
        ValueError: a box is not finite.
    """
    sizes = Sizes.of_picture(width, height)
    boxes = _boxes_in_picture(width, height, faces)
    room = Room((width, height), boxes, gap=sizes.line_px // 2 + 2)
    labels = []
    for index, face in enumerate(faces):
        labels.append(label := _place(room, index, face, sizes))
        if label is not None:
            room.take(label.area, label.leader)
    areas: list[Rectangle | None] = [None] * len(faces)
    if charts and len(faces) <= MAX_CHARTS:
        for index, face in enumerate(faces):
            if (area := _chart_area(room, index, face, sizes)) is not None:
                areas[index] = area
                room.take(area)
    rectangles = tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes.tolist())
    return Layout(rectangles, tuple(labels), tuple(areas), sizes)


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


def _place(room: Room, index: int, face: Face, sizes: Sizes) -> Label | None:
    for lines in _texts(face):
        measured = [(px, size_of_label(lines, px)) for px in _text_sizes(room, index, sizes)]
        for text_px, size in measured:
            if (area := room.beside(index, size)) is not None:
                return Label(lines, area, text_px)
        for text_px, size in measured:
            if (area := room.inside(index, size, sizes.line_px)) is not None:
                return Label(lines, area, text_px)
        text_px, size = measured[-1]
        if (found := room.away(index, size)) is not None:
            return Label(lines, found[0], text_px, found[1])
    return None


def _text_sizes(room: Room, index: int, sizes: Sizes) -> list[int]:
    """Returns the text sizes for a face, the preferred one first, the smallest last."""
    preferred = sizes.text_px(int(room.boxes[index, 3] - room.boxes[index, 1]))
    middle = (preferred + sizes.small_text_px) // 2
    return sorted({preferred, middle, sizes.small_text_px}, reverse=True)


def _texts(face: Face) -> list[tuple[str, ...]]:
    """Returns the lines of a label, the full ones first, then shorter ones."""
    number: int | None = getattr(face, "id", None)
    name = "" if number is None else f"#{number} "
    full = f"{name}{face.label} {face.confidence:.0%}"
    if face.abstain_reason is not None:
        return [(full, face.abstain_reason), (f"{name}{face.abstain_reason}",), (f"{name}?",)]
    shorter = [(f"{name}{face.label}",)]
    return [(full,), *shorter, *([(name.strip(),)] if name else [])]


def _chart_area(room: Room, index: int, face: Face, sizes: Sizes) -> Rectangle | None:
    """Returns a free area for the chart of a face, right or left of its box; None if there is none."""
    x0, y0, x1, y1 = room.boxes[index].tolist()
    width, height = size_of_chart(face.probabilities, sizes.text_px(y1 - y0))
    if width * height > MAX_CHART_SHARE * room.size[0] * room.size[1]:
        return None
    # A label that begins above the box may be wider than the box.
    top = max(0, min(y0 + room.gap, room.size[1] - height))
    margin = 2 * room.gap
    for left in (x1 + margin, x0 - margin - width):
        area = (left, top, left + width, top + height)
        if room.is_free(area):
            return area
    return None


def size_of_chart(labels: Iterable[str], text_px: int) -> tuple[int, int]:
    """Returns width and height of a chart with a line of text and a bar for each label."""
    names = [text_width(label, text_px) for label in labels]
    padding = padding_of(text_px)
    return max(names) + 5 * text_px + 3 * padding, len(names) * (text_px + padding) + padding
