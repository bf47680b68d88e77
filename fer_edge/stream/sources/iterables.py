"""Frames from the user's own code: an iterable of frames, or of (time, frame)."""

from collections.abc import Iterable, Iterator
from typing import Any

from fer_edge.stream.sources.capture import Frame


class IterableCapture:
    """An iterable as a source.

    Args:
        frames: gives frames, or tuples (time in seconds, frame).
        name: for messages.
        ends: the end of the iterable is the end of the stream; False: it is the loss of a live source.
    """

    missing = 0

    def __init__(self, frames: Iterable[Any], name: str, *, ends: bool) -> None:
        self._iterator: Iterator[Any] = iter(frames)
        self._name, self._ends = name, ends

    def read(self) -> Frame | None:
        """Returns the next frame, or None at the end; ConnectionError: the source is lost."""
        try:
            item = next(self._iterator)
        except StopIteration:
            if not self._ends:
                raise ConnectionError(f"{self._name} gives no more frames") from None
            return None
        if isinstance(item, tuple) and len(item) == 2:
            time, pixels = item
            return Frame(pixels, time)
        return Frame(item, None)

    def close(self) -> None:
        """Closes a generator, so that it can release what it holds."""
        close = getattr(self._iterator, "close", None)
        if callable(close):
            close()
