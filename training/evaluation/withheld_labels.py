"""What the runtime answers for untouched and changed photographs, counted at any min_confidence."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from fer_edge.result import Face

Box = tuple[float, float, float, float]
SAME_FACE = 0.4  # intersection over union from which two versions mean the same face


class Answer(NamedTuple):
    """What is said of one face, without a threshold of the confidence."""

    label: str
    confidence: float
    is_withheld: bool  # for a reason other than the confidence

    def is_given(self, min_confidence: float) -> bool:
        return not self.is_withheld and self.confidence >= min_confidence


@dataclass(frozen=True, slots=True)
class UntouchedFace:
    """A face of an untouched photograph, and the answers for the changed ones (None: no face is found)."""

    photo: int
    box: Box  # xyxy in px
    answer: Answer
    changes: Sequence[tuple[str, Answer | None]]


@dataclass(slots=True)
class Count:
    """Faces of one change."""

    tried: int = 0
    found: int = 0
    kept: int = 0  # found, and not abstained
    changed: int = 0  # kept, with another label than in the untouched photograph

    def row(self) -> dict[str, Any]:
        """The counts, and the share of changed labels among those kept."""
        return asdict(self) | {"share": self.changed / self.kept if self.kept else None}


def answer_from_face(face: Face) -> Answer:
    """The answer of a recogniser whose min_confidence is 0."""
    return Answer(face.label, face.confidence, face.abstain_reason is not None)


def counts(faces: Sequence[UntouchedFace], min_confidence: float) -> dict[str, Any]:
    """How many faces are answered in the untouched photographs, and the counts of each change of those."""
    answered = [face for face in faces if face.answer.is_given(min_confidence)]
    changes: dict[str, Count] = defaultdict(Count)
    for face in answered:
        for name, answer in face.changes:
            count = changes[name]
            count.tried += 1
            count.found += answer is not None
            if answer is not None and answer.is_given(min_confidence):
                count.kept += 1
                count.changed += answer.label != face.answer.label
    return {"answered": len(answered), "changes": {name: count.row() for name, count in changes.items()}}


def shared_faces(faces: Sequence[UntouchedFace], others: Sequence[tuple[int, Box]]) -> list[int | None]:
    """For each face the index of the same face among those of another version, or None."""
    matches: list[int | None] = []
    for face in faces:
        overlaps = [
            (_overlap(face.box, box), index)
            for index, (photo, box) in enumerate(others)
            if photo == face.photo
        ]
        best, index = max(overlaps, default=(0.0, -1))
        matches.append(index if best >= SAME_FACE else None)
    return matches


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return common / (areas - common)
