"""Finds room for a rectangle of text at a box: beside it, inside it, or near it with a leader line.

This is point-feature label placement with a fixed list of candidates (Christensen, Marks and Shieber, "An
empirical study of algorithms for point-feature label placement", 1995), tried in order of preference, face by
face. Placing the faces with the least room first was tried; no more labels found room in crowds.
Rectangles are x0, y0, x1, y1 with exclusive x1 and y1.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import I64

Booleans = NDArray[np.bool_]
Rectangle = tuple[int, int, int, int]
Point = tuple[int, int]
Leader = tuple[Point, Point]  # from the box to the label

# Distances of labels with a leader line, in heights of the label.
RINGS = (0.75, 1.5, 2.5, 4.0, 6.0, 9.0)
# From frame to frame, a label moves along its box by this share of its height, at most so many times.
STEPS, MAX_STEPS = 4, 8
# A label inside its own box covers at most this share of the face.
MAX_COVERED = 0.15


class Wish(NamedTuple):
    """Where an area should be.

    Attributes:
        near: [4], the free area nearest to this rectangle is taken; None: the preferred one.
        spare: pixels around the area that must be free too.
    """

    near: I64 | None = None
    spare: int = 0

    def ordered(self, candidates: I64) -> I64:
        """Returns the candidates [K, 4], the best one first."""
        if self.near is None:
            return candidates
        distances = np.abs(candidates - self.near).sum(axis=1)
        ordered: I64 = candidates[np.argsort(distances, kind="stable")]
        return ordered


class Room:
    """The picture with its boxes, and what has been placed so far."""

    def __init__(self, size: tuple[int, int], boxes: I64, gap: int) -> None:
        """Takes size (width, height), boxes [N, 4] inside it, and the space to leave around each thing."""
        self.size, self.boxes, self.gap = size, boxes, gap
        # Labels, charts, and the areas that leader lines extend over.
        self._placed = np.empty((0, 4), np.int64)
        # The boxes and all of these, grown by the gap, so that a plain comparison keeps the distance.
        self._taken = _grown(boxes, gap)

    def take(self, area: Rectangle, leader: Leader | None = None) -> None:
        """Marks an area as covered, and that of the line from its box to it."""
        rows = np.array([area], np.int64)
        if leader is not None:
            ends = np.array(leader, np.int64)
            rows = np.concatenate([rows, [[*ends.min(axis=0), *ends.max(axis=0) + 1]]])
        self._placed = np.concatenate([self._placed, rows])
        self._taken = np.concatenate([self._taken, _grown(rows, self.gap)])

    def beside(self, index: int, size: tuple[int, int], wish: Wish) -> Rectangle | None:
        """Returns a free area of this size that touches box `index`."""
        candidates = self._around(self.boxes[index], size)
        if wish.near is not None:
            candidates = np.concatenate([candidates, self._along(self.boxes[index], size, wish.near)])
        return self._first(index, candidates, wish)

    def inside(self, index: int, size: tuple[int, int], margin: int, wish: Wish) -> Rectangle | None:
        """Returns a free area inside box `index`, at its top or bottom; None if it would hide the face."""
        x0, y0, x1, y1 = self.boxes[index].tolist()
        width, height = size
        box_width, box_height = x1 - x0 - 2 * margin, y1 - y0 - 2 * margin
        if width > box_width or width * height > MAX_COVERED * box_width * box_height:
            return None
        left, bottom = x0 + margin, y1 - margin - height
        return self._first(index, _areas([(left, y0 + margin), (left, bottom)], size), wish)

    def away(self, index: int, size: tuple[int, int], wish: Wish) -> tuple[Rectangle, Leader] | None:
        """Returns a free area near box `index` and a line to it, which crosses only faces that overlap it."""
        box = self.boxes[index]
        rings = [self._around(_grown(box, round(ring * size[1])), size) for ring in RINGS]
        if wish.near is not None:
            kept = _areas([(int(wish.near[0]), int(wish.near[1]))], size)
            # Not so near that it is no longer away from the box.
            rings.append(kept[~_overlap(kept, _grown(box, size[1] // 2)[None])[:, 0]])
        candidates = np.concatenate(rings)
        free = wish.ordered(candidates[self._is_free(index, candidates, wish.spare)])
        lines = _leaders(box, free)
        # A face that overlaps this one cannot be avoided by a line that begins here.
        others = self.boxes[~_overlap(self.boxes, box[None])[:, 0]]
        obstacles = np.concatenate([others, self._placed])
        clear = np.flatnonzero(~_crosses(lines, obstacles).any(axis=1))
        if not len(clear):
            return None
        start, end = lines[clear[0]].tolist()
        return _rectangle(free[clear[0]]), ((start[0], start[1]), (end[0], end[1]))

    def apart(self, corners: list[Point], size: tuple[int, int], wish: Wish) -> Rectangle | None:
        """Returns a free area of this size with one of these upper left corners, which covers no box."""
        return self._first(None, _areas(corners, size), wish)

    def _around(self, box: I64, size: tuple[int, int]) -> I64:
        """Areas that touch a box, the preferred ones first, moved along its sides into the picture."""
        x0, y0, x1, y1 = box.tolist()
        width, height = size
        last_x, last_y = self.size[0] - width, self.size[1] - height
        columns = (x0, x1 - width, (x0 + x1 - width) // 2)
        further = (x0 - width // 2, x1 - width // 2)
        rows = (y0, (y0 + y1 - height) // 2, y1 - height)
        corners = [
            *((min(max(x, 0), last_x), y) for y in (y0 - height, y1) for x in columns),
            *((x, min(max(y, 0), last_y)) for x in (x1, x0 - width) for y in rows),
            *((min(max(x, 0), last_x), y) for y in (y0 - height, y1) for x in further),
        ]
        return _areas(corners, size)

    def _along(self, box: I64, size: tuple[int, int], near: I64) -> I64:
        """Areas that touch a box and are moved along its sides from `near` by a few pixels."""
        x0, y0, x1, y1 = box.tolist()
        width, height = size
        step = max(1, height // STEPS)
        ways = [step * number for number in range(-MAX_STEPS, MAX_STEPS + 1)]
        # At least half of an area above or below, and all of one at the side, is next to the box.
        columns = np.clip([int(near[0]) + way for way in ways], x0 - width // 2, x1 - width // 2)
        rows = np.clip([int(near[1]) + way for way in ways], y0, max(y0, y1 - height))
        columns = np.clip(columns, 0, max(0, self.size[0] - width))
        return _areas(
            [
                *((int(x), y) for y in (y0 - height, y1) for x in columns),
                *((x, int(y)) for x in (x1, x0 - width) for y in rows),
            ],
            size,
        )

    def _first(self, index: int | None, candidates: I64, wish: Wish) -> Rectangle | None:
        free = wish.ordered(candidates[self._is_free(index, candidates, wish.spare)])
        return _rectangle(free[0]) if len(free) else None

    def _is_free(self, index: int | None, candidates: I64, spare: int) -> Booleans:
        """Tells for each of candidates [K, 4] whether it covers nothing but the box `index`."""
        width, height = self.size
        covers = _overlap(_grown(candidates, spare), self._taken)
        if index is not None:
            covers[:, index] = False
        free: Booleans = np.logical_not(covers.any(axis=1))
        free &= (candidates[:, 0] >= 0) & (candidates[:, 1] >= 0)
        free &= (candidates[:, 2] <= width) & (candidates[:, 3] <= height)
        return free


def _areas(corners: list[Point], size: tuple[int, int]) -> I64:
    upper_left = np.array(corners, np.int64)
    return np.concatenate([upper_left, upper_left + size], axis=1)


def _grown(rectangles: I64, by: int) -> I64:
    grown: I64 = rectangles + np.array((-by, -by, by, by))
    return grown


def _rectangle(row: I64) -> Rectangle:
    x0, y0, x1, y1 = row.tolist()
    return x0, y0, x1, y1


def _overlap(first: I64, second: I64) -> Booleans:
    """Tells for rectangles [K, 4] and [M, 4] which share a pixel, [K, M]."""
    x0, y0, x1, y1 = first.T[:, :, None]
    overlap: Booleans = (x0 < second[:, 2]) & (x1 > second[:, 0]) & (y0 < second[:, 3]) & (y1 > second[:, 1])
    return overlap


def _leaders(box: I64, areas: I64) -> I64:
    """Lines from a box to areas [K, 4] around it, [K, 2, 2]; they begin at the middle half of a side."""
    upper_left, lower_right = box[:2], box[2:] - 1
    quarter = (lower_right - upper_left) // 4
    nearest = np.clip((upper_left + lower_right) // 2, areas[:, :2], areas[:, 2:] - 1)
    at_edge = np.clip(nearest, upper_left, lower_right)
    in_middle = np.clip(nearest, upper_left + quarter, lower_right - quarter)
    # The side is that in whose direction the area is farther away.
    distance = np.abs(nearest - at_edge)
    start = np.where(distance >= distance.max(axis=1, keepdims=True), at_edge, in_middle)
    return np.stack([start, np.clip(start, areas[:, :2], areas[:, 2:] - 1)], axis=1)


def _crosses(lines: I64, rectangles: I64) -> Booleans:
    """Tells for lines [K, 2, 2] and rectangles [M, 4] which meet, [K, M] (Liang and Barsky 1984)."""
    start = lines[:, None, 0].astype(np.float64)
    step = lines[:, None, 1] - start
    # A line along an axis gets an infinite place where it would meet the other axis's limits.
    step = np.where(step == 0, 1e-12, step)
    limits = np.stack([(rectangles[None, :, :2] - start) / step, (rectangles[None, :, 2:] - start) / step])
    enter, leave = limits.min(axis=0).max(axis=2), limits.max(axis=0).min(axis=2)
    crosses: Booleans = np.maximum(enter, 0) < np.minimum(leave, 1)
    return crosses
