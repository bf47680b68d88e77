"""What both readers have in common: what they return, and the times of frames."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

from fer_edge.arrays import U8
from fer_edge.stream.sources.capture import Frame

# 30,000 years. At this time float64 has steps of 0.1 ms; a larger one would not tell one frame from the next.
# Seconds since 1970 are below it, milliseconds and nanoseconds since 1970 are above.
MAX_TIME_S = 1e12


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame for the stream."""

    pixels: U8
    time: float  # in seconds, not before the last one
    index: int  # in the source, from 0
    dropped: int  # frames that were dropped since the last one


class Reader(Protocol):
    """Reads a source for one stream. All methods but `take` and `poll` may be called by any thread."""

    def take(self) -> Taken | None:
        """Returns the next frame; waits for it; None at the end of the source, or when closed."""

    def poll(self, since: float) -> Taken | None:
        """Returns the next frame, or None if a live source has none now, or there are no more.

        A live source that is silent since this time.monotonic(), for too long, raises TimeoutError.
        """

    @property
    def is_over(self) -> bool:
        """No more frames and errors will come."""

    def listen(self, listener: Callable[[], None]) -> None:
        """Has this called, in any thread, when `poll` may return something else than before."""

    def pause(self) -> None:
        """Makes `take` wait until `resume`."""

    def resume(self) -> None:
        """Ends a pause."""

    def close(self) -> None:
        """Ends reading; a waiting `take` returns."""

    def info(self) -> dict[str, Any]:
        """Returns state, frames, missing frames, dropped frames and reconnections."""


class Timekeeper:
    """Gives each frame its time, and checks it.

    Args:
        name: of the source, for messages.
        fps: frames a second, for frames without a time; None: by the clock.
        clock: returns seconds.
    """

    def __init__(self, name: str, fps: float | None, clock: Callable[[], float]) -> None:
        self._name, self._fps = name, fps
        self._start = clock()
        self._last, self._last_arrived = -math.inf, self._start
        self._opening, self._offset = 0, 0.0

    def time_of(self, frame: Frame, index: int, arrived: float, opening: int = 0) -> float:
        """Returns the time of a frame that arrived at a time of the clock.

        Args:
            frame: of the source.
            index: of the frame.
            arrived: by the clock.
            opening: how often the source was opened again before. Its own times may begin again then; they go
                on after the last one, by what has passed on the clock.

        Raises:
            TypeError: the frame's own time is not a number.
            ValueError: the time is not finite, is beyond MAX_TIME_S, or is before that of the last frame.
        """
        if frame.time is None:
            time = arrived - self._start if self._fps is None else index / self._fps
            time = self._checked(time, index)
        else:
            own = self._checked(frame.time, index)
            if opening != self._opening:
                self._opening = opening
                now = self._last + arrived - self._last_arrived
                self._offset = now - own if own < self._last else 0.0
            time = own + self._offset
        if time < self._last:
            raise ValueError(
                f"frame {index} of {self._name}: times must not run backwards, got {time:g} s after "
                f"{self._last:g} s; if the source began again, make a new Stream"
            )
        self._last, self._last_arrived = time, arrived
        return time

    def _checked(self, time: Any, index: int) -> float:
        expected = f"frame {index} of {self._name}: its time must be a finite number of seconds"
        if not isinstance(time, Real) or isinstance(time, bool):
            raise TypeError(f"{expected}, got {type(time).__name__}")
        try:
            seconds = float(time)
        except OverflowError:  # an int that no float holds
            seconds = math.inf
        if not math.isfinite(seconds):
            raise ValueError(f"{expected}, got {seconds!r}")
        if abs(seconds) > MAX_TIME_S:
            raise ValueError(
                f"{expected} from {-MAX_TIME_S:g} to {MAX_TIME_S:g}, got {seconds:g}; convert milliseconds "
                "or nanoseconds to seconds"
            )
        return seconds
