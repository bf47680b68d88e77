"""Data between the stages (struct of arrays) and results for the user (one frozen object per face)."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fer_edge.arrays import F32

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces of one frame, in frame pixels, best score first; N may be 0."""

    boxes: F32  # [N, 4] xyxy
    landmarks: F32  # [N, 5, 2] right eye, left eye, nose tip, right mouth corner, left mouth corner
    scores: F32  # [N] in [0, 1]

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, rows: list[int]) -> "Detections":
        """Returns some of the faces, in the order of the rows."""
        return Detections(self.boxes[rows], self.landmarks[rows], self.scores[rows])

    def joined(self, others: "Detections") -> "Detections":
        """Returns these faces and then the others."""
        return Detections(
            np.concatenate([self.boxes, others.boxes]),
            np.concatenate([self.landmarks, others.landmarks]),
            np.concatenate([self.scores, others.scores]),
        )


@dataclass(frozen=True, slots=True)
class Expressions:
    """What the expression network says about N faces."""

    logits: F32  # [N, C], in the order of the model's labels
    confidence: F32  # [N] in [0, 1], see Face.confidence
    reasons: list[str | None]  # N reasons to abstain, see Face.abstain_reason

    def split(self, counts: Sequence[int]) -> list["Expressions"]:
        """Returns the first counts[0] faces, the next counts[1], and so on."""
        ends = list(itertools.accumulate(counts))
        parts = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        return [Expressions(self.logits[p], self.confidence[p], self.reasons[p]) for p in parts]


@dataclass(frozen=True, slots=True)
class Face:
    """One face and its expression.

    Attributes:
        box: x0, y0, x1, y1 in frame pixels, clipped to the frame; for a crop, the whole crop.
        landmarks: x, y in frame pixels of right eye, left eye, nose tip, right and left mouth corner (right
            and left from the person's view). Empty for a crop without landmarks.
        score: score of the detector in [0, 1] that this is a face; 1 for a crop.
        label: the most probable expression; also set if `abstain_reason` is not None.
        confidence: how often labels with this confidence are right, in [0, 1], fitted on held-out pictures.
            Larger than the probability of `label` where people disagree.
        probabilities: expression -> share of people who would name it, in the model's order; sums to 1. Do
            not change it: the face is meant to be read-only.
        abstain_reason: why the label should not be trusted; None if it can be trusted.
    """

    box: Box
    landmarks: tuple[Point, ...]
    score: float
    label: str
    confidence: float
    probabilities: Mapping[str, float] = field(hash=False)
    abstain_reason: str | None = None

    def __post_init__(self) -> None:
        # A plain dict, because serializers know no other mapping; a copy, so that no two faces share it.
        object.__setattr__(self, "probabilities", dict(self.probabilities))

    def to_dict(self) -> dict[str, Any]:
        """Returns the face as JSON types: dicts, lists, strings, numbers and None."""
        return {
            "box": list(self.box),
            "landmarks": [list(point) for point in self.landmarks],
            "score": self.score,
            "label": self.label,
            "confidence": self.confidence,
            "probabilities": dict(self.probabilities),
            "abstain_reason": self.abstain_reason,
        }


def faces_from_arrays(
    detections: Detections,
    probabilities: F32,
    confidence: F32,
    labels: Sequence[str],
    abstain_reasons: Sequence[str | None],
) -> list[Face]:
    """Builds the result objects.

    Args:
        detections: N faces; for crops without landmarks, landmarks is [N, 0, 2].
        probabilities: [N, C], in the order of labels.
        confidence: [N].
        labels: the C expressions.
        abstain_reasons: one reason or None per face.
    """
    best = probabilities.argmax(axis=1).tolist()
    # tolist() converts a whole array to Python floats, much faster than float() on each element.
    rows = zip(
        detections.boxes.tolist(),
        detections.landmarks.tolist(),
        detections.scores.tolist(),
        probabilities.tolist(),
        confidence.tolist(),
        best,
        abstain_reasons,
        strict=True,
    )
    return [
        Face(
            box=tuple(box),
            landmarks=tuple((x, y) for x, y in points),
            score=score,
            label=labels[top],
            confidence=sure,
            probabilities=dict(zip(labels, row, strict=True)),
            abstain_reason=reason,
        )
        for box, points, score, row, sure, top, reason in rows
    ]
