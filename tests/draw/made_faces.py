"""Faces at made places, and arrangements of them that are hard to label."""

from dataclasses import dataclass

import numpy as np
from tiny import LABELS

from fer_edge.result import Box, Face

POINTS = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.75), (0.65, 0.75))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedFace(Face):
    """A face with an identity, as a stream gives it."""

    id: int


def face(box: Box, label: str = "happiness", abstain_reason: str | None = None, **more: object) -> Face:
    """A face with confidence 0.7; with id=..., one of a stream."""
    x0, y0, x1, y1 = box
    points = tuple((x0 + (x1 - x0) * x, y0 + (y1 - y0) * y) for x, y in POINTS)
    probabilities = dict.fromkeys(LABELS, 0.3 / 7) | {label: 0.7}
    kind = NumberedFace if more else Face
    return kind(box, points, 0.9, label, 0.7, probabilities, abstain_reason, **more)


def faces_at(boxes: list[Box]) -> list[Face]:
    """Faces with all labels in turn; each third is not trusted."""
    reasons = ("face too far turned", None, None)
    return [face(box, LABELS[k % len(LABELS)], reasons[k % 3]) for k, box in enumerate(boxes)]


def grid(columns: int, rows: int, side: float, gap: float, x: float = 0.0, y: float = 0.0) -> list[Box]:
    """Boxes in rows; the distance between two boxes is `gap` of a side."""
    step = side * (1 + gap)
    return [
        (x + c * step, y + r * step, x + c * step + side, y + r * step + side)
        for r in range(rows)
        for c in range(columns)
    ]


# In units of the picture's shorter side, for pictures of 4:3 and wider.
ARRANGEMENTS: dict[str, list[Box]] = {
    "one": [(0.4, 0.3, 0.7, 0.7)],
    "whole picture": [(0.0, 0.0, 1.3, 1.0)],
    "group": grid(4, 2, 0.15, 1.0, 0.1, 0.1),
    "row shoulder to shoulder": grid(6, 1, 0.12, 0.05, 0.2, 0.4),
    "block without gaps": grid(5, 5, 0.1, 0.0, 0.3, 0.2),
    "picture full of faces": grid(10, 8, 0.12, 0.02),
    "corners": [(0, 0, 0.1, 0.1), (1.2, 0, 1.3, 0.1), (0, 0.9, 0.1, 1), (1.2, 0.9, 1.3, 1)],
    "nested": [(0.2, 0.1, 1.0, 0.9), (0.3, 0.2, 0.7, 0.7), (0.4, 0.4, 0.5, 0.5)],
    "the same box three times": [(0.4, 0.4, 0.6, 0.6)] * 3,
    "partly outside": [(-0.2, 0.3, 0.1, 0.6), (1.2, 0.8, 1.9, 1.2), (-0.5, -0.5, -0.2, -0.1)],
    "without area": [(0.5, 0.5, 0.5, 0.5), (0.6, 0.5, 0.5, 0.4)],
    "none": [],
}
_RANDOM = np.random.default_rng(0)
for _count, _size in ((40, 0.1), (20, 0.2)):
    _x, _y = _RANDOM.uniform(0, 1.2, _count), _RANDOM.uniform(0, 0.9, _count)
    _sides = _RANDOM.uniform(0.4, 1.0, _count) * _size
    ARRANGEMENTS[f"crowd of {_count}"] = np.stack([_x, _y, _x + _sides, _y + 1.3 * _sides], axis=1).tolist()


def arranged(name: str, height: int) -> list[Face]:
    """The faces of an arrangement in a picture of that height."""
    return faces_at([tuple(height * value for value in box) for box in ARRANGEMENTS[name]])
