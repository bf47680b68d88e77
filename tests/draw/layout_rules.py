"""What holds for every layout."""

import math

import cv2
import numpy as np

from fer_edge.draw import Label, Layout
from fer_edge.draw.placement import Rectangle


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3])


def _touches(a: Rectangle, b: Rectangle) -> bool:
    return max(a[0], b[0]) <= min(a[2], b[2]) and max(a[1], b[1]) <= min(a[3], b[3])


def _has_point(area: Rectangle, x: float, y: float) -> bool:
    return area[0] <= x < area[2] and area[1] <= y < area[3]


def _points_of(label: Label) -> np.ndarray:
    """The points of the leader line, closer together than a pixel, without its ends."""
    start, end = np.array(label.leader, float)
    return np.linspace(start, end, 2 * math.ceil(np.abs(end - start).max()) + 3)[2:-2]


def check_layout(layout: Layout, width: int, height: int) -> None:
    """Checks that labels and charts are in the picture and cover nothing."""
    labels = [(index, label) for index, label in enumerate(layout.labels) if label is not None]
    charts = [area for area in layout.charts if area is not None]
    for x0, y0, x1, y1 in (*layout.boxes, *charts, *(label.area for _, label in labels)):
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
    for index, label in labels:
        others = [box for other, box in enumerate(layout.boxes) if other != index]
        covered = [*others, *charts, *(other.area for _, other in labels if other is not label)]
        assert not any(_overlap(label.area, area) for area in covered)
        _check_text(label)
        if label.leader is None:
            assert _touches(label.area, layout.boxes[index])
        else:
            assert _has_point(layout.boxes[index], *label.leader[0])
            assert _has_point(label.area, *label.leader[1])
            _check_start(label.leader[0], layout.boxes[index])
            crossed = [box for box in others if not _overlap(box, layout.boxes[index])]
            crossed += [other.area for _, other in labels if other is not label]
            assert not any(_has_point(area, x, y) for area in crossed for x, y in _points_of(label))
    for area in charts:
        assert not any(_overlap(area, other) for other in (*layout.boxes, *charts) if other is not area)


def _check_start(point: tuple[int, int], box: Rectangle) -> None:
    """A leader line begins at a side, not at a corner, where another face may be as near."""
    x, y = point
    x0, y0, x1, y1 = box
    at_side = x in (x0, x1 - 1), y in (y0, y1 - 1)
    # Within a quarter of the side from its middle; both are rounded.
    in_middle = abs(2 * x - x0 - x1 + 1) <= (x1 - x0) / 2 + 2, abs(2 * y - y0 - y1 + 1) <= (y1 - y0) / 2 + 2
    assert (at_side[0] and in_middle[1]) or (at_side[1] and in_middle[0])


def _check_text(label: Label) -> None:
    """The text as OpenCV measures it is inside the area, and not too small to be read."""
    x0, y0, x1, y1 = label.area
    thickness = max(1, label.text_px // 14)
    widths = [
        cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, label.text_px / 30, thickness)[0][0]
        for line in label.lines
    ]
    assert max(widths) + 2 <= x1 - x0 <= max(widths) + label.text_px
    assert len(label.lines) * label.text_px + 2 <= y1 - y0 <= (len(label.lines) + 1) * label.text_px
    assert label.text_px >= 12
