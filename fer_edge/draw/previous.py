"""What a face had in the frame before, so that annotations keep their places from frame to frame.

A label stays on its side of the face, and at its size, as long as there is room. It moves to a better place
only where there is room to spare: with one and the same limit for both ways, it would jump to and fro where a
face comes close to another.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fer_edge.arrays import I64
from fer_edge.draw.placement import Rectangle, Wish

if TYPE_CHECKING:
    from fer_edge.draw.layout import Label, Layout

# What must be free around a better place, in lines of text.
SPARE_LINES = 0.5
# A text that should be larger or smaller by at most this share keeps its size: the detector's boxes are never
# quite of the same size.
MAX_CHANGE = 1 / 8


@dataclass(frozen=True, slots=True)
class Before:
    """The annotations of one face in the frame before.

    Attributes:
        label: None if there was no room.
        chart: as label.
        way: [4], by how much the sides of the box have moved since.
    """

    label: "Label | None"
    chart: Rectangle | None
    way: I64

    def text_px(self, wanted: int) -> int:
        """Returns the text size that was wanted, or the former one if it is hardly another."""
        if self.label is None or abs(wanted - self.label.text_px) > max(1, wanted * MAX_CHANGE):
            return wanted
        return self.label.text_px

    def wish_for_label(self, rank: int, text_px: int) -> Wish:
        """Returns where a label of this rank should be."""
        is_better = self.label is None or rank < self.label.rank
        return self._wish(None if self.label is None else self.label.area, text_px if is_better else 0)

    def keeps(self, label: "Label") -> bool:
        """Tells whether a label is where it was in relation to its box, or in a better place."""
        if self.label is None or label.rank != self.label.rank:
            return self.label is not None and label.rank < self.label.rank
        moved = np.abs(np.array(label.area) - self.label.area - self.way).max(initial=0)
        return bool(moved <= label.text_px)

    def wish_for_chart(self, text_px: int) -> Wish:
        """Returns where a chart should be."""
        return self._wish(self.chart, text_px if self.chart is None else 0)

    def _wish(self, area: Rectangle | None, spare_px: int) -> Wish:
        near: I64 | None = None if area is None else np.array(area, np.int64) + self.way
        return Wish(near, round(SPARE_LINES * spare_px))


def annotations_before(
    previous: "Layout | None", boxes: I64, ids: tuple[int | None, ...]
) -> list[Before | None]:
    """Returns the former annotations of faces [N, 4] with ids; None for a face that is new or has no id."""
    if previous is None:
        return [None] * len(ids)
    rows = {id: row for row, id in enumerate(previous.ids) if id is not None}
    found = [rows.get(id) if id is not None else None for id in ids]
    return [
        None if row is None else _before(previous, row, box) for row, box in zip(found, boxes, strict=True)
    ]


def _before(previous: "Layout", row: int, box: I64) -> Before:
    way: I64 = box - np.array(previous.boxes[row], np.int64)
    return Before(previous.labels[row], previous.charts[row], way)
