"""Annotated pictures: box, five points, expression, and a small chart of all probabilities where there is
room.

Sizes follow the picture, and small pictures are enlarged first, so that the text is legible at any size.
"""

from collections.abc import Sequence

import numpy as np

from fer_edge.cli.pictures import opencv
from fer_edge.result import U8, Face

# Text needs about this many pixels of picture; smaller pictures are enlarged by a whole factor.
MIN_LONG_PX = 640
# Height of the text as a share of the picture's longer side.
TEXT_SHARE = 1 / 50

Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]  # x0, y0, x1, y1

# One BGR colour an expression, in FER+ order, all light enough for black text (after Okabe and Ito 2008).
COLOURS: tuple[Colour, ...] = (
    (200, 200, 200),
    (66, 228, 240),
    (233, 180, 86),
    (240, 160, 130),
    (80, 110, 255),
    (120, 200, 60),
    (220, 150, 230),
    (0, 159, 230),
)
BLACK, WHITE, DIM = (0, 0, 0), (255, 255, 255), (150, 150, 150)


def annotated(picture: U8, faces: Sequence[Face], labels: Sequence[str]) -> U8:
    """Returns a copy of a picture uint8 [H, W, 3] BGR with its faces marked, enlarged if it is small."""
    cv2 = opencv()
    factor = max(1, -(-MIN_LONG_PX // max(picture.shape[:2])))
    canvas: U8 = np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)
    if factor > 1:
        size = (picture.shape[1] * factor, picture.shape[0] * factor)
        canvas = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    pen = _Pen(canvas)
    boxes = [_rectangle(face, factor) for face in faces]
    colours = [
        DIM if face.abstain_reason else COLOURS[labels.index(face.label) % len(COLOURS)] for face in faces
    ]
    for face, box, colour in zip(faces, boxes, colours, strict=True):
        pen.mark(box, [(x * factor, y * factor) for x, y in face.landmarks], colour)
    taken = list(boxes)
    # Captions of all faces come before any chart: a name matters more than its distribution.
    for face, box, colour in zip(faces, boxes, colours, strict=True):
        taken.append(pen.caption(box, _caption(face), colour))
    for face, box in zip(faces, boxes, strict=True):
        if (place := pen.place_for_chart(box, face, taken)) is not None:
            pen.chart(place, face)
            taken.append(place)
    return canvas


def _rectangle(face: Face, factor: int) -> Rectangle:
    x0, y0, x1, y1 = (round(value * factor) for value in face.box)
    return x0, y0, x1, y1


def _caption(face: Face) -> str:
    text = f"{face.label} {face.confidence:.0%}"
    return f"{text} ({face.abstain_reason})" if face.abstain_reason else text


class _Pen:
    """Draws on one canvas in sizes that fit it."""

    def __init__(self, canvas: U8) -> None:
        self._cv2 = opencv()
        self._canvas = canvas
        self._height, self._width = canvas.shape[:2]
        self._text_px = max(12, round(max(canvas.shape[:2]) * TEXT_SHARE))
        self._font = self._cv2.FONT_HERSHEY_SIMPLEX
        # Capitals of this font are 21 px high at scale 1.
        self._scale = self._text_px / 30
        self._line = max(1, round(self._text_px / 10))
        self._pad = max(2, self._text_px // 4)

    def mark(self, box: Rectangle, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        cv2, canvas = self._cv2, self._canvas
        # A dark rim below the light line keeps both visible on any background.
        for shade, width in ((BLACK, self._line + 2), (colour, self._line)):
            cv2.rectangle(canvas, box[:2], box[2:], shade, width)
        radius = max(1, min(self._line + 1, (box[2] - box[0]) // 24))
        for x, y in points:
            centre = (round(x), round(y))
            cv2.circle(canvas, centre, radius + 1, BLACK, -1, cv2.LINE_AA)
            cv2.circle(canvas, centre, radius, colour, -1, cv2.LINE_AA)

    def caption(self, box: Rectangle, text: str, colour: Colour) -> Rectangle:
        """Writes above the box, below it at the upper edge of the picture, inside where neither has room."""
        width, height = self._text_width(text) + 2 * self._pad, self._text_px + 2 * self._pad
        x0 = max(0, min(box[0], self._width - width))
        y0 = box[1] - height
        if y0 < 0:
            y0 = box[3] if box[3] + height <= self._height else max(0, box[1])
        place = (x0, y0, x0 + width, y0 + height)
        self._cv2.rectangle(self._canvas, place[:2], (place[2] - 1, place[3] - 1), colour, -1)
        self._text(text, x0 + self._pad, y0 + self._pad, BLACK)
        return place

    def place_for_chart(self, box: Rectangle, face: Face, taken: Sequence[Rectangle]) -> Rectangle | None:
        """Returns where the chart of a face covers nothing that is marked: beside its box, else None."""
        width = max(map(self._text_width, face.probabilities)) + 5 * self._text_px + 3 * self._pad
        height = len(face.probabilities) * (self._text_px + self._pad) + self._pad
        y0 = max(0, min(box[1], self._height - height))
        gap = 2 * self._line
        for x0 in (box[2] + gap, box[0] - gap - width):
            place = (x0, y0, x0 + width, y0 + height)
            inside = x0 >= 0 and place[2] <= self._width and place[3] <= self._height
            if inside and not any(_overlap(place, other) for other in taken):
                return place
        return None

    def chart(self, place: Rectangle, face: Face) -> None:
        """Draws one bar an expression, the longest possible bar standing for 1."""
        x0, y0, x1, y1 = place
        ground = self._canvas[y0:y1, x0:x1]
        ground[...] = ground // 4
        bars = x0 + self._pad * 2 + max(map(self._text_width, face.probabilities))
        for row, (label, probability) in enumerate(face.probabilities.items()):
            top = y0 + self._pad + row * (self._text_px + self._pad)
            best = label == face.label
            self._text(label, x0 + self._pad, top, WHITE if best else DIM)
            end = bars + round(probability * (x1 - self._pad - bars))
            colour = COLOURS[row % len(COLOURS)]
            self._cv2.rectangle(self._canvas, (bars, top), (max(bars, end), top + self._text_px), colour, -1)

    def _text_width(self, text: str) -> int:
        width: int = self._cv2.getTextSize(text, self._font, self._scale, self._line)[0][0]
        return width

    def _text(self, text: str, x: int, top: int, colour: Colour) -> None:
        base = (x, top + round(self._text_px * 0.8))
        self._cv2.putText(
            self._canvas, text, base, self._font, self._scale, colour, self._line, self._cv2.LINE_AA
        )


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
