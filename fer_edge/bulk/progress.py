"""How much of a job is done: a line that changes on a terminal, else a line from time to time."""

import os
import time

from fer_edge.cli.standard_streams import MessageStream

# Seconds between two texts.
ON_TERMINAL_S, IN_LOG_S = 0.2, 30.0


class Progress:
    """Shows on stderr how many inputs are done.

    Args:
        total: number of inputs.
        done: number of inputs that an earlier run has done.
    """

    def __init__(self, total: int, done: int) -> None:
        self._total, self._before, self._done = total, done, done
        self._is_terminal = os.isatty(2)
        # Of its own, because Ray's messages on stderr are dropped while it runs.
        self._stream = MessageStream(os.fdopen(os.dup(2), "w", encoding="utf-8"))
        self._start = self._shown = time.monotonic()

    def step(self, count: int) -> None:
        """So many more inputs are done."""
        self._done += count
        now = time.monotonic()
        if now - self._shown >= (ON_TERMINAL_S if self._is_terminal else IN_LOG_S):
            self._shown = now
            self._show(now)

    def _show(self, now: float) -> None:
        rate = (self._done - self._before) / max(now - self._start, 1e-3)
        left = (self._total - self._done) / max(rate, 1e-9)
        text = f"{self._done}/{self._total} inputs, {rate:.1f} per second, {left:.0f} s left"
        # Erase to the end of the line, because the last text may have been longer.
        start, end = ("\r", "\033[K") if self._is_terminal else ("", "\n")
        print(f"{start}{text}", end=end, file=self._stream, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if self._is_terminal:
            print("\r\033[K", end="", file=self._stream, flush=True)
        if kind is KeyboardInterrupt or kind is SystemExit:
            print(
                f"{self._done} of {self._total} inputs are done; the same command goes on", file=self._stream
            )
        self._stream.close()
