"""Decides when the whole frame is searched, and holds a budget of time for each frame.

A search of the whole frame costs ten times as much as finding one known face again. It is needed to find new
faces and faces that moved away, so it is made when there is a reason for it. Under a budget, searches are
postponed first, then the expressions of the faces that changed least.
"""

import math
from collections.abc import Callable
from typing import Literal

from fer_edge.stream.result import SearchReason
from fer_edge.stream.timing import has_lasted

# Seconds between two searches. A new face beside known ones waits at most this long.
TIMER_S = 0.75
# The first face in an empty picture waits less, and a face that was lost is searched at once, then this
# often.
EMPTY_S, LOST_S = 0.1, 0.1
# A budget postpones a search until this long after the last one; else new faces would never be found.
MAX_POSTPONED_S = 2.0
# Weight of the last measurement in the expected cost of a stage.
NEWEST = 0.2

Stage = Literal["search", "infer"]


class Cadence:
    """When to search the whole frame.

    Args:
        every: "auto", or the number of frames from search to search.
    """

    def __init__(self, every: int | Literal["auto"]) -> None:
        self._every = every
        self.reset()

    @property
    def is_auto(self) -> bool:
        """True if it may search more often than it must."""
        return self._every == "auto"

    def reset(self) -> None:
        """Forgets the last search."""
        self._searched: float | None = None  # time of the last search
        self._frames = 0  # since the last search

    def reason(self, time: float, *, known: int, is_cut: bool, is_lost: bool) -> SearchReason | None:
        """Returns why a frame must be searched; None: there is no reason so far.

        Args:
            time: of the frame, in seconds.
            known: number of known faces.
            is_cut: it shows another scene than the frame before.
            is_lost: the frame before showed faces that are gone, because so much time has passed.
        """
        if self._searched is None:
            return "first frame"
        if is_cut:
            return "scene cut"
        if self._every != "auto":
            is_due = self._frames + 1 >= self._every
        else:
            is_due = has_lasted(self._searched, time, TIMER_S if known else EMPTY_S)
        if is_due:
            return "every frame" if self._every == 1 else "timer"
        return "lost face" if is_lost else None

    def may_seek(self, time: float, *, newly_lost: bool) -> bool:
        """Returns True if a lost face is a reason to search."""
        return newly_lost or self._searched is None or has_lasted(self._searched, time, LOST_S)

    def is_urgent(self, time: float, reason: SearchReason, known: int) -> bool:
        """Returns True if a budget must not postpone this search."""
        if self._searched is None or not known or reason in ("first frame", "scene cut", "every frame"):
            return True
        return has_lasted(self._searched, time, MAX_POSTPONED_S)

    def count(self, time: float, reason: SearchReason | None) -> None:
        """Counts a frame that was searched for this reason, or not."""
        self._frames += 1
        if reason is not None:
            self._searched, self._frames = time, 0


class Budget:
    """The time of a frame.

    Args:
        budget_ms: milliseconds a frame; None: no limit.
        clock: returns seconds.
    """

    def __init__(self, budget_ms: float | None, clock: Callable[[], float]) -> None:
        self._limit = math.inf if budget_ms is None else budget_ms / 1e3
        self._clock = clock
        # Expected seconds; of "infer", for one face.
        self._costs: dict[Stage, float] = {"search": 0.0, "infer": 0.0}
        self._start = self._stage_start = 0.0

    @property
    def is_limited(self) -> bool:
        """True if there is a limit."""
        return self._limit < math.inf

    def start(self) -> None:
        """Starts a frame."""
        self._start = self._clock()

    def begin(self) -> None:
        """Starts a stage."""
        self._stage_start = self._clock()

    def end(self, stage: Stage, count: int = 1) -> None:
        """Ends a stage that ran for a number of faces, and learns what it costs."""
        self.learn(stage, (self._clock() - self._stage_start) / count)

    def learn(self, stage: Stage, cost: float) -> None:
        """Learns what a stage costs, in seconds; "infer", for one face."""
        known = self._costs[stage]
        self._costs[stage] = cost if known == 0 else known + NEWEST * (cost - known)

    def left(self) -> float:
        """Returns the seconds that are left for this frame; negative if it is over."""
        return self._limit - (self._clock() - self._start)

    def allows_search(self, known: int) -> bool:
        """Returns True if a search and the expressions of the known faces should fit in what is left."""
        return self._costs["search"] + known * self._costs["infer"] <= self.left()

    def expressions(self) -> int | None:
        """Returns how many expressions should fit in what is left, at least one; None: all."""
        cost = self._costs["infer"]
        if not self.is_limited or cost == 0:
            return None
        return max(1, int(self.left() / cost))
