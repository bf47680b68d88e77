"""Colours and sizes of annotations.

The colours are the seven hues of Okabe and Ito, "Color Universal Design" (2008, https://jfly.uni-koeln.de/color),
which people with each kind of colour blindness tell apart, and white. Text is black or white, whichever has
the higher contrast; it has at least 4.5:1, as WCAG 2.2 requires (success criterion 1.4.3).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

Colour = tuple[int, int, int]  # BGR

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
# Faces whose label should not be trusted.
GREY: Colour = (185, 185, 185)
# Names of the less probable expressions on the dark ground of a chart.
DIM: Colour = (200, 200, 200)
COLOURS: dict[str, Colour] = {
    "neutral": WHITE,
    "happiness": (66, 228, 240),  # yellow
    "surprise": (233, 180, 86),  # sky blue
    "sadness": (178, 114, 0),  # blue
    "anger": (0, 94, 213),  # vermilion
    "disgust": (115, 158, 0),  # bluish green
    "fear": (167, 121, 204),  # reddish purple
    "contempt": (0, 159, 230),  # orange
}


def colour_of(label: str, labels: Sequence[str]) -> Colour:
    """Returns the BGR colour of an expression; one of another model's labels has that of its position."""
    if label in COLOURS:
        return COLOURS[label]
    return tuple(COLOURS.values())[list(labels).index(label) % len(COLOURS)]


def contrast(first: Colour, second: Colour) -> float:
    """Returns the contrast ratio of two sRGB colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@functools.cache
def text_colour_on(ground: Colour) -> Colour:
    """Returns black or white, whichever has the higher contrast on this ground."""
    return max(BLACK, WHITE, key=lambda shade: contrast(shade, ground))


def _luminance(colour: Colour) -> float:
    shares = (value / 255 for value in colour)
    blue, green, red = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes in pixels that fit a picture."""

    # Height of a line of text, with descenders; two thirds of it are the height of a capital letter.
    small_text_px: int
    large_text_px: int
    line_px: int

    @classmethod
    def of_picture(cls, width: int, height: int) -> "Sizes":
        """Returns the sizes for a picture that is shown as a whole, on a screen or on paper."""
        long = max(width, height)
        # Below 12 px the letters of OpenCV's fonts run together.
        return cls(max(12, round(long / 95)), max(14, round(long / 45)), max(1, round(long / 540)))

    def text_px(self, box_height: int) -> int:
        """Returns the text size for a face: a seventh of its height, within the picture's limits."""
        return min(max(round(box_height / 7), self.small_text_px), self.large_text_px)

    def line_of_box_px(self, box_height: int) -> int:
        """Returns the line width of a box; thin for a small face."""
        return min(self.line_px, max(1, box_height // 20))
