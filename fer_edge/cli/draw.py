"""Draws annotated pictures: box, landmarks, expression, and a chart of all probabilities if there is space.

Line and text sizes depend on the size of the picture and, for small faces, on theirs, so that a caption does
not cover a group. Small pictures are enlarged first, so that the text is readable.
"""

from collections.abc import Sequence

import numpy as np

from fer_edge.arrays import U8
from fer_edge.cli.pictures import opencv
from fer_edge.result import Face

# Pictures with a shorter long side are enlarged by an integer factor, so that text is readable.
MIN_LONG_PX = 640
# Height of the text as a fraction of the long side of the picture.
TEXT_SHARE = 1 / 50
# It is at most this fraction of the width of the median face, but at least MIN_TEXT_PX.
FACE_TEXT_SHARE = 1 / 2
MIN_TEXT_PX = 12

Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]  # x0, y0, x1, y1

# BGR colour of each expression, in FER+ order; all light enough for black text (based on Okabe and Ito 2008).
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
    """Returns a copy of a picture uint8 [H, W, 3] BGR with annotated faces, enlarged if it is small."""
    cv2 = opencv()
    factor = max(1, -(-MIN_LONG_PX // max(picture.shape[:2])))
    canvas: U8 = np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)
    if factor > 1:
        size = (picture.shape[1] * factor, picture.shape[0] * factor)
        canvas = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    boxes = [_rectangle(face, factor) for face in faces]
    painter = _Painter(canvas, [x1 - x0 for x0, _, x1, _ in boxes])
    colours = [
        DIM if face.abstain_reason else COLOURS[labels.index(face.label) % len(COLOURS)] for face in faces
    ]
    for face, box, colour in zip(faces, boxes, colours, strict=True):
        painter.mark(box, [(x * factor, y * factor) for x, y in face.landmarks], colour)
    occupied = list(boxes)
    # All captions are drawn before any chart, because they matter more.
    for face, box, colour in zip(faces, boxes, colours, strict=True):
        occupied.append(painter.caption(box, _caption(face), colour))
    for face, box in zip(faces, boxes, strict=True):
        if (area := painter.free_area_for_chart(box, face, occupied)) is not None:
            painter.chart(area, face)
            occupied.append(area)
    return canvas


def _rectangle(face: Face, factor: int) -> Rectangle:
    x0, y0, x1, y1 = (round(value * factor) for value in face.box)
    return x0, y0, x1, y1


def _caption(face: Face) -> str:
    text = f"{face.label} {face.confidence:.0%}"
    return f"{text} ({face.abstain_reason})" if face.abstain_reason else text


class _Painter:
    """Draws on one canvas, with line and text sizes that fit it and the widths of its faces."""

    def __init__(self, canvas: U8, widths: Sequence[int]) -> None:
        self._cv2 = opencv()
        self._canvas = canvas
        self._height, self._width = canvas.shape[:2]
        text = max(canvas.shape[:2]) * TEXT_SHARE
        limit = float(np.median(widths)) * FACE_TEXT_SHARE if widths else text
        self._text_px = max(MIN_TEXT_PX, round(min(text, limit)))
        self._font = self._cv2.FONT_HERSHEY_SIMPLEX
        # Capital letters of this font are 21 px high at scale 1.
        self._scale = self._text_px / 30
        self._line = max(1, round(self._text_px / 10))
        self._pad = max(2, self._text_px // 4)

    def mark(self, box: Rectangle, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        cv2, canvas = self._cv2, self._canvas
        # A dark outline under the coloured line makes it visible on any background.
        for shade, width in ((BLACK, self._line + 2), (colour, self._line)):
            cv2.rectangle(canvas, box[:2], box[2:], shade, width)
        radius = max(1, min(self._line + 1, (box[2] - box[0]) // 24))
        for x, y in points:
            centre = (round(x), round(y))
            cv2.circle(canvas, centre, radius + 1, BLACK, -1, cv2.LINE_AA)
            cv2.circle(canvas, centre, radius, colour, -1, cv2.LINE_AA)

    def caption(self, box: Rectangle, text: str, colour: Colour) -> Rectangle:
        """Writes above the box, else below it, else inside it. Returns the area that the caption covers."""
        width, height = self._text_width(text) + 2 * self._pad, self._text_px + 2 * self._pad
        x0 = max(0, min(box[0], self._width - width))
        y0 = box[1] - height
        if y0 < 0:
            y0 = box[3] if box[3] + height <= self._height else max(0, box[1])
        area = (x0, y0, x0 + width, y0 + height)
        self._cv2.rectangle(self._canvas, area[:2], (area[2] - 1, area[3] - 1), colour, -1)
        self._text(text, x0 + self._pad, y0 + self._pad, BLACK)
        return area

    def free_area_for_chart(
        self, box: Rectangle, face: Face, occupied: Sequence[Rectangle]
    ) -> Rectangle | None:
        """Returns a free area for the chart, right or left of the box; None if there is none."""
        width = max(map(self._text_width, face.probabilities)) + 5 * self._text_px + 3 * self._pad
        height = len(face.probabilities) * (self._text_px + self._pad) + self._pad
        y0 = max(0, min(box[1], self._height - height))
        gap = 2 * self._line
        for x0 in (box[2] + gap, box[0] - gap - width):
            area = (x0, y0, x0 + width, y0 + height)
            inside = x0 >= 0 and area[2] <= self._width and area[3] <= self._height
            if inside and not any(_overlap(area, other) for other in occupied):
                return area
        return None

    def chart(self, area: Rectangle, face: Face) -> None:
        """Draws one bar per expression; the full length is probability 1."""
        x0, y0, x1, y1 = area
        background = self._canvas[y0:y1, x0:x1]
        background[...] = background // 4
        bars_x0 = x0 + self._pad * 2 + max(map(self._text_width, face.probabilities))
        for row, (label, probability) in enumerate(face.probabilities.items()):
            top = y0 + self._pad + row * (self._text_px + self._pad)
            best = label == face.label
            self._text(label, x0 + self._pad, top, WHITE if best else DIM)
            end = bars_x0 + round(probability * (x1 - self._pad - bars_x0))
            colour = COLOURS[row % len(COLOURS)]
            self._cv2.rectangle(
                self._canvas, (bars_x0, top), (max(bars_x0, end), top + self._text_px), colour, -1
            )

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
