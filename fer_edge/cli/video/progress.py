"""A progress bar on a terminal."""

import sys
import time

BAR = 24  # characters
INTERVAL_S = 0.1


class Progress:
    """Shows on stderr how much of a video is done, if stderr is a terminal; else nothing.

    Args:
        name: of the video.
        total: number of frames; 0 if it is unknown.
    """

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total = name, total
        self._is_shown = sys.stderr.isatty()
        self._start = time.monotonic()
        self._drawn = self._start - INTERVAL_S
        self._done = 0

    def step(self) -> None:
        """One more frame is done."""
        self._done += 1
        now = time.monotonic()
        if self._is_shown and now - self._drawn >= INTERVAL_S:
            self._drawn = now
            # Erase to the end of the line, because the last text may have been longer.
            print(f"\r{self._text(now)}\033[K", end="", file=sys.stderr, flush=True)

    def _text(self, now: float) -> str:
        rate = self._done / max(now - self._start, 1e-3)
        if not self._total:
            return f"{self._name}  {self._done} frames, {rate:.0f} per second"
        # A file may hold more frames than it states.
        share = min(1.0, self._done / self._total)
        bar = "#" * round(BAR * share) + "." * (BAR - round(BAR * share))
        left = max(0, self._total - self._done) / rate
        return f"{self._name}  [{bar}] {share:4.0%}  {self._done}/{self._total} frames, {left:.0f} s left"

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._is_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
