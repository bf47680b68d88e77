"""When the frames of a source are shown to people."""

from collections.abc import Callable

from fer_edge.cli.video.video_file import MAX_STILL_S


class Pace:
    """Frames of a file are due at their own times; after a gap that a written video would skip, at once.

    Args:
        paced: False: a live source, whose frames are always due.
        clock: returns seconds.
    """

    def __init__(self, *, paced: bool, clock: Callable[[], float]) -> None:
        self._paced, self._clock = paced, clock
        self._last: float | None = None
        # The time of the clock when the time of the frames was 0.
        self._start = 0.0

    def early(self, time: float) -> float:
        """Returns the seconds until a frame of this time is due, at least 0."""
        if self._last is None or time - self._last > MAX_STILL_S:
            self._start = self._clock() - time
        self._last = time
        return max(0.0, self._start + time - self._clock()) if self._paced else 0.0
