"""Durations, of stages and between frames."""

from collections.abc import Callable


class Stopwatch:
    """Adds up the time of each stage of one frame; runs from the start.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = clock()
        self.milliseconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Adds the time since the last lap to a stage."""
        now = self._clock()
        self.add(stage, now - self._last)
        self._last = now

    def add(self, stage: str, seconds: float) -> None:
        """Adds a time that was measured elsewhere to a stage."""
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + seconds * 1e3

    def restart(self) -> None:
        """Starts the next lap now; the time since the last one belongs to no stage."""
        self._last = self._clock()


# Times of frames are rounded, so that 0.3 s - 0.2 s is less than 0.1 s.
ROUNDING_S = 1e-6


def has_lasted(since: float, time: float, seconds: float) -> bool:
    """Returns True if at least this long has passed between the times of two frames."""
    return time - since >= seconds - ROUNDING_S


def has_exceeded(since: float, time: float, seconds: float) -> bool:
    """Returns True if more than this long has passed between the times of two frames."""
    return time - since > seconds + ROUNDING_S
