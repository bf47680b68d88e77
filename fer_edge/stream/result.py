"""What a stream returns for each frame."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fer_edge.arrays import U8
from fer_edge.result import Face

EventKind = Literal["appeared", "expression_entered", "expression_left", "disappeared"]
# Why the whole frame was searched.
SearchReason = Literal["first frame", "every frame", "timer", "scene cut", "lost face", "free budget"]


@dataclass(frozen=True, slots=True)
class Event:
    """A lasting change of one face.

    Attributes:
        kind: "appeared", "expression_entered", "expression_left" or "disappeared".
        id: the face.
        label: the expression; None for "appeared" and "disappeared".
        time: of the frame that reports the event, in seconds.
        since: when the change began, in seconds: an event is reported after a minimum duration.
    """

    kind: EventKind
    id: int
    label: str | None
    time: float
    since: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the event as JSON types."""
        return {name: getattr(self, name) for name in ("kind", "id", "label", "time", "since")}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFace(Face):
    """A face with identity. `label`, `confidence` and `probabilities` are smoothed over time.

    Attributes:
        id: number of the face, from 1; the same as long as the face is followed, never used again.
        expression: the entered expression (see Event); None between two expressions.
        is_fresh: the expression network ran on this face in this frame; False: its last logits were kept.
        abstain_reason: why this frame did not change the smoothed values; None if it did.
    """

    id: int
    expression: str | None
    is_fresh: bool

    def to_dict(self) -> dict[str, Any]:
        """Returns the face as JSON types."""
        # Not super(): a dataclass with slots is another class than the one that super() would look for.
        face = Face.to_dict(self)
        return {"id": self.id, **face, "expression": self.expression, "is_fresh": self.is_fresh}


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not computed for a frame.

    Attributes:
        search: a search of the whole frame was due, and was postponed for the budget.
        still: ids of faces that look as they did at their predicted place, so the detector did not run on
        them. unchanged: ids of faces whose logits were kept because the face looks as it did. over_budget:
        ids of faces whose logits were kept for the budget.
    """

    search: bool = False
    still: tuple[int, ...] = ()
    unchanged: tuple[int, ...] = ()
    over_budget: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as JSON types."""
        return {
            "search": self.search,
            "still": list(self.still),
            "unchanged": list(self.unchanged),
            "over_budget": list(self.over_budget),
        }


@dataclass(frozen=True, slots=True)
class StreamResult:
    """One frame of a stream.

    Attributes:
        index: number of the frame in the source, from 0; dropped frames are counted.
        time: of the frame, in seconds: of the file, as given with the frame, or since the stream began.
        frame: the frame as the source gave it; None in a replay.
        faces: the faces that were seen in this frame, in the order of their ids.
        events: of this frame: first of faces that are gone, then by id.
        searched: why the whole frame was searched; None if only known faces were followed.
        skipped: what was not computed.
        dropped: frames of a live source that were dropped between the previous result and this one.
        timings: milliseconds: "read" (waiting for the frame), "luma", "detect", "track", "infer", "smooth",
            "record", and "total" of all but "read". Empty in a replay.
    """

    index: int
    time: float
    frame: U8 | None
    faces: tuple[StreamFace, ...]
    events: tuple[Event, ...]
    searched: SearchReason | None
    skipped: Skipped
    dropped: int
    timings: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns the result without the frame as JSON types."""
        return {
            "index": self.index,
            "time": self.time,
            "faces": [face.to_dict() for face in self.faces],
            "events": [event.to_dict() for event in self.events],
            "searched": self.searched,
            "skipped": self.skipped.to_dict(),
            "dropped": self.dropped,
            "timings": dict(self.timings),
        }
