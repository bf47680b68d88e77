"""Draws boxes, landmarks, labels, leader lines and charts on a canvas, with OpenCV.

The texts are in OpenCV's own font, FONT_HERSHEY_SIMPLEX. Pillow and cv2.freetype have better ones, but need
another dependency and a font file; OpenCV's is in every installation, and OpenCV 5 smoothes it.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from fer_edge.arrays import U8
from fer_edge.draw.layout import Label, font_of, padding_of, text_width
from fer_edge.draw.placement import Leader, Point, Rectangle
from fer_edge.draw.style import BLACK, DIM, WHITE, Colour, text_colour_on
from fer_edge.installation.import_opencv import opencv
from fer_edge.result import Face


class Painter:
    """Draws on one canvas uint8 [H, W, 3] BGR."""

    def __init__(self, canvas: U8) -> None:
        self._cv2 = opencv()
        self._canvas = canvas

    def box(self, box: Rectangle, colour: Colour, line: int, *, dashed: bool) -> None:
        """Draws a box inside its edges; a dark rim makes it visible on any background."""
        x0, y0, x1, y1 = box
        sides = (
            (x0, y0, x1, y0 + line),
            (x0, y1 - line, x1, y1),
            (x0, y0, x0 + line, y1),
            (x1 - line, y0, x1, y1),
        )
        strokes = [dash for side in sides for dash in _dashes(side, 4 * line + 2)] if dashed else sides
        for shade, margin in ((BLACK, 1), (colour, 0)):
            for stroke in strokes:
                self.fill(stroke, shade, margin)

    def landmarks(self, points: Iterable[tuple[float, float]], colour: Colour, radius: int) -> None:
        """Draws a dot with a dark rim at each point."""
        for x, y in points:
            centre = (round(x), round(y))
            for shade, size in ((BLACK, radius + 1), (colour, radius)):
                self._cv2.circle(self._canvas, centre, size, shade, -1, self._cv2.LINE_AA)

    def leader(self, leader: Leader, colour: Colour, line: int) -> None:
        """Draws the line from a box to its label."""
        for shade, width in ((BLACK, line + 2), (colour, line)):
            self._cv2.line(self._canvas, *leader, shade, width, self._cv2.LINE_AA)

    def label(self, label: Label, colour: Colour) -> None:
        """Writes the lines of a label on a ground of this colour."""
        # A dark edge separates a light label from a light background.
        self.fill(label.area, BLACK)
        self.fill(label.area, colour, -1)
        padding = padding_of(label.text_px)
        for row, line in enumerate(label.lines):
            top = label.area[1] + padding + row * label.text_px
            self.text(line, (label.area[0] + padding, top), label.text_px, text_colour_on(colour))

    def chart(self, area: Rectangle, face: Face, text_px: int, colours: Mapping[str, Colour]) -> None:
        """Draws one bar for each expression; the full length is probability 1."""
        x0, y0, x1, y1 = area
        ground = self._canvas[y0:y1, x0:x1]
        # So dark that each colour has a contrast of 3:1, as WCAG 2.2 requires of graphics (1.4.11).
        np.right_shift(ground, 3, out=ground)
        padding = padding_of(text_px)
        bars = x0 + 2 * padding + max(text_width(label, text_px) for label in face.probabilities)
        for row, (label, probability) in enumerate(face.probabilities.items()):
            top = y0 + padding + row * (text_px + padding)
            self.text(label, (x0 + padding, top), text_px, WHITE if label == face.label else DIM)
            end = bars + max(1, round(probability * (x1 - padding - bars)))
            self.fill((bars, top, end, top + text_px), colours[label])

    def fill(self, area: Rectangle, colour: Colour, margin: int = 0) -> None:
        """Fills a rectangle, and a margin around it."""
        # Not cv2.rectangle: how thick it draws a line depends on OpenCV's version.
        x0, y0, x1, y1 = area
        rows = slice(max(0, y0 - margin), y1 + margin)
        self._canvas[rows, max(0, x0 - margin) : x1 + margin] = colour

    def text(self, text: str, upper_left: Point, text_px: int, colour: Colour) -> None:
        """Writes a line of text."""
        cv2 = self._cv2
        scale, thickness = font_of(text_px)
        base = (upper_left[0], upper_left[1] + round(text_px * 0.8))
        cv2.putText(self._canvas, text, base, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)


def _dashes(side: Rectangle, length: int) -> list[Rectangle]:
    """Divides a side of a box into dashes and equal gaps, with a dash at each end."""
    x0, y0, x1, y1 = side
    pieces = 2 * (max(x1 - x0, y1 - y0) // (2 * length)) + 1
    if x1 - x0 > y1 - y0:
        ends = np.linspace(x0, x1, pieces + 1).round().astype(int).tolist()
        return [(ends[k], y0, ends[k + 1], y1) for k in range(0, pieces, 2)]
    ends = np.linspace(y0, y1, pieces + 1).round().astype(int).tolist()
    return [(x0, ends[k], x1, ends[k + 1]) for k in range(0, pieces, 2)]
