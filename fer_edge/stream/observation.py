"""What is known of the faces of a frame: where they are, before they are read, and after that."""

from dataclasses import dataclass
from typing import NamedTuple

from fer_edge.arrays import F32
from fer_edge.result import Detections, Expressions
from fer_edge.stream.appearance import Appearance, Reading
from fer_edge.stream.result import SearchReason, Skipped


class Sighting(NamedTuple):
    """Where the faces of a frame are."""

    found: Detections
    columns: list[int]  # the detection of each known face, -1 for none
    still: frozenset[int]  # ids of the faces that stood still
    searched: SearchReason | None
    postponed: bool  # a search was due


@dataclass(frozen=True, slots=True)
class Unread:
    """A frame whose faces are found, before their expressions are read."""

    time: float
    ids: tuple[int, ...]
    found: Detections
    sighting: Sighting
    readings: list[Reading]  # what is remembered of each face
    pictures: F32  # how each face looks, see appearance
    chosen: list[int]  # rows of the faces to read
    over_budget: frozenset[int]  # ids of faces that should be read too

    @property
    def to_read(self) -> Detections:
        """The faces whose expressions are to be read."""
        return self.found.select(self.chosen)

    def keep(self, read: Expressions) -> None:
        """Remembers the expressions of the faces `to_read`."""
        for row, logits, reason in zip(self.chosen, read.logits, read.reasons, strict=True):
            reading = self.readings[row]
            reading.read = Appearance(self.pictures[row], self.time)
            reading.logits, reading.reason = logits, reason


@dataclass(frozen=True, slots=True)
class Observation:
    """What is measured of the known faces in one frame: all that smoothing and events need.

    N faces, in the order of their ids.
    """

    time: float
    ids: tuple[int, ...]
    found: Detections
    logits: F32  # [N, C]; kept from an earlier frame where not fresh
    reasons: tuple[str | None, ...]
    is_fresh: tuple[bool, ...]
    ended: tuple[int, ...]
    searched: SearchReason | None
    skipped: Skipped
