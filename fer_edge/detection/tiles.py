"""Overlapping windows of a large network input, so that its memory is bounded for any frame.

A face belongs to the window in whose core its centre lies. The windows overlap so much that a face of the
largest size that a pass must find is complete, with a margin, in every window that may keep it. The cores
overlap too, because the same face has slightly different centres in two windows; the caller merges doubles.
"""

import math
from itertools import pairwise
from typing import NamedTuple

# Network pixels in a run without windows, 1920 x 1216 and a little more; the engine needs about 40 bytes for
# each of them.
MAX_INPUT_PX = 2_400_000
# Longest side of an input in a run without windows; engines are built for sides up to this one.
MAX_SIDE_PX = 2560
# Longest side of a window, in network pixels.
TILE_PX = 1280
# Distance between the centre of a face and the edge of a window that may keep it: half a face of
# scales.NETWORK_FACE_PX[1], and a margin of a third of it.
MARGIN_PX = 96
# Half the overlap of two cores: more than the centre of a face differs between two windows.
SLACK_PX = 24


class Span(NamedTuple):
    """A window along one axis, in network pixels."""

    start: int
    length: int
    core: tuple[float, float]  # first and last position of a centre, from the window's start


class Window(NamedTuple):
    """A part of the network's input that one run covers."""

    rows: Span
    columns: Span


def windows_from_sides(height: int, width: int, multiple: int) -> list[Window]:
    """Returns the windows of an input of these sides, row by row.

    Args:
        height: of the whole input in network pixels, a multiple of `multiple`.
        width: likewise.
        multiple: every window starts at, and has sides of, a multiple of this.
    """
    return [Window(rows, columns) for rows in _spans(height, multiple) for columns in _spans(width, multiple)]


def _spans(length: int, multiple: int) -> list[Span]:
    tile = min(length, TILE_PX // multiple * multiple)
    # Starts are rounded, which shortens an overlap by up to one multiple.
    step = tile - 2 * (MARGIN_PX + SLACK_PX) - multiple
    count = 1 + math.ceil((length - tile) / step)
    starts = [round(k * (length - tile) / max(count - 1, 1) / multiple) * multiple for k in range(count)]
    # Two neighbours share the border in the middle of their overlap.
    borders = [(before + tile + after) / 2 for before, after in pairwise(starts)]
    firsts = [-math.inf, *(border - SLACK_PX for border in borders)]
    lasts = [*(border + SLACK_PX for border in borders), math.inf]
    return [
        Span(start, tile, (first - start, last - start))
        for start, first, last in zip(starts, firsts, lasts, strict=True)
    ]
