"""Reads a source that waits: every frame, in order, when it is asked for. Files, folders, iterables."""

import threading
from collections.abc import Callable
from typing import Any

from fer_edge.stream.sources.capture import Frame, Source
from fer_edge.stream.sources.reader import Taken, Timekeeper


class InOrderReader:
    """Reads in the thread that takes the frames.

    Args:
        source: opened at once, so that a wrong path is reported at once.
        clock: returns seconds.
    """

    def __init__(self, source: Source, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._capture = source.open()
        self._timekeeper = Timekeeper(source.name, source.fps, clock)
        self._frames = 0
        self._state = "reading"
        self._changed = threading.Condition()
        self._listener: Callable[[], None] | None = None
        # Held while the source is read, which no other thread can interrupt.
        self._reading = threading.Lock()

    def take(self) -> Taken | None:
        """Returns the next frame; None at the end of the source, or when closed.

        Raises: whatever the source raises.
        """
        # A pause may also begin after the wait for its end.
        while (taken := self._read()) is None and not self.is_over:
            with self._changed:
                self._changed.wait_for(lambda: self._state != "paused")
        return taken

    def poll(self, since: float) -> Taken | None:
        """Returns the next frame; reads it first, however long it takes; None when paused, ended or closed.

        Raises: as `take`.
        """
        return None if self._state == "paused" else self._read()

    @property
    def is_over(self) -> bool:
        """No more frames will come."""
        return self._state in ("ended", "closed")

    def listen(self, listener: Callable[[], None]) -> None:
        """Has this called, in any thread, at the end of a pause and of this reader."""
        self._listener = listener

    def _read(self) -> Taken | None:
        with self._reading:
            frame = self._next_frame() if self._state == "reading" else None
            if frame is None and self._state == "reading":
                self._state = "ended"
            if self._state == "closed":
                self._capture.close()
                return None
        if frame is None:
            return None
        index = self._frames - 1
        return Taken(frame.pixels, self._timekeeper.time_of(frame, index, self._clock()), index, 0)

    def _next_frame(self) -> Frame | None:
        """Reads and counts a frame; also one that cannot be read, so that the others keep their numbers."""
        try:
            frame = self._capture.read()
        except ConnectionError:
            raise  # the source is lost, which is no frame
        except Exception:
            self._frames += 1
            raise
        self._frames += frame is not None
        return frame

    def pause(self) -> None:
        """Makes `take` wait until `resume`."""
        self._change("reading", "paused")

    def resume(self) -> None:
        """Ends a pause."""
        self._change("paused", "reading")

    def _change(self, before: str, after: str) -> None:
        with self._changed:
            if self._state == before:
                self._state = after
                self._notify()

    def _notify(self) -> None:
        self._changed.notify_all()
        if self._listener is not None:
            self._listener()

    def close(self) -> None:
        """Ends reading. A frame that is being read in another thread is read to its end, and dropped."""
        with self._changed:
            self._state = "closed"
            self._notify()
        if self._reading.acquire(blocking=False):
            try:
                self._capture.close()
            finally:
                self._reading.release()

    def info(self) -> dict[str, Any]:
        """Returns state ("reading", "paused", "ended", "closed"), frames, missing, dropped and reconnects."""
        return {
            "state": self._state,
            "frames": self._frames,
            "missing": self._capture.missing,
            "dropped": 0,
            "reconnects": 0,
        }
