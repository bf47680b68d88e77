"""Reads a live source in a thread of its own: the newest frame wins, so that lag never grows.

A lost source is opened again, at growing intervals. The error of a single frame is handed to the thread that
waits for a frame, and reading goes on. A source that hangs cannot be interrupted; that thread is told.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fer_edge.stream.sources.capture import Frame, Source
from fer_edge.stream.sources.reader import Taken, Timekeeper

# Seconds until a lost source is opened again, doubled each time.
FIRST_DELAY_S, LAST_DELAY_S = 0.25, 8.0
# Seconds that `close` waits for the thread.
JOIN_S = 2.0
LOOK_S = 1.0  # between two looks at whether the stream was dropped, while an error waits to be raised

_logger = logging.getLogger("fer_edge")


@dataclass(frozen=True, slots=True)
class _Waiting:
    frame: Frame
    index: int
    arrived: float
    opening: int


class LatestReader:
    """Keeps the newest frame.

    Args:
        source: opened at once, so that a wrong address is reported at once.
        clock: returns seconds.
        max_lag_ms: a frame that waited longer is dropped; None: no limit.
        hang_s: `take` raises TimeoutError if the source is silent for this many seconds.
        reconnect_s: a lost source is tried again for this many seconds; 0: not at all.
    """

    def __init__(
        self,
        source: Source,
        clock: Callable[[], float],
        *,
        max_lag_ms: float | None,
        hang_s: float,
        reconnect_s: float,
    ) -> None:
        self._source, self._clock = source, clock
        self._max_lag = float("inf") if max_lag_ms is None else max_lag_ms / 1e3
        self._hang_s, self._reconnect_s = hang_s, reconnect_s
        self._capture = source.open()
        self._timekeeper = Timekeeper(source.name, source.fps, clock)
        self._listener: Callable[[], None] | None = None
        # Not guarded: the garbage collector may write it while any thread holds the condition.
        self._is_abandoned = False
        # All below is guarded by this condition.
        self._changed = threading.Condition()
        self._waiting: _Waiting | None = None
        self._state = "reading"  # "reconnecting", "ended", "lost", "closed"
        self._error: BaseException | None = None
        self._paused = False
        self._frames = self._dropped = self._reported = self._reconnects = 0
        # When the thread began to read or open; None while it waits to reconnect.
        self._busy_since: float | None = time.monotonic()
        self._lost_since: float | None = None
        self._delay = FIRST_DELAY_S
        self._thread = threading.Thread(target=self._run, name="fer_edge-reader", daemon=True)
        self._thread.start()

    def take(self) -> Taken | None:
        """Returns the newest frame; waits for one; None at the end of the source, or when closed.

        Raises:
            ConnectionError: the source was lost and did not come back.
            TimeoutError: the source hangs; a later call waits again.
            Other: whatever the user's own source raises.
        """
        began = time.monotonic()
        with self._changed:
            while (waiting := self._pop()) is None and not self._is_over():
                self._changed.wait(self._patience(began))
            return self._taken(waiting)

    def poll(self, since: float) -> Taken | None:
        """As `take`, but does not wait: returns None if there is no frame now.

        Args:
            since: time.monotonic() from which on silence counts as hanging.
        """
        with self._changed:
            if (waiting := self._pop()) is None and not self._is_over():
                self._patience(since)
            return self._taken(waiting)

    @property
    def is_over(self) -> bool:
        """No more frames and errors will come."""
        with self._changed:
            return self._is_over()

    def listen(self, listener: Callable[[], None]) -> None:
        """Has this called, in any thread, when there may be a frame, an error or the end."""
        self._listener = listener

    def _is_over(self) -> bool:
        nothing_left = self._waiting is None and self._error is None
        return self._state == "closed" or (self._state in ("ended", "lost") and nothing_left)

    def _pop(self) -> _Waiting | None:
        """Returns the frame that waits, if any; raises the error of the source after its last frame."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and self._clock() - waiting.arrived > self._max_lag:
            self._dropped += 1
            waiting = None
        if waiting is None and self._error is not None and self._state != "closed":
            self._changed.notify_all()  # `_hand_over` waits until there is no error
            try:
                raise self._error
            finally:
                # Not a local variable: the error's traceback would refer to it, and keep the stream.
                self._error = None
        return waiting

    def _taken(self, waiting: _Waiting | None) -> Taken | None:
        if waiting is None:
            return None
        dropped, self._reported = self._dropped - self._reported, self._dropped
        time_s = self._timekeeper.time_of(waiting.frame, waiting.index, waiting.arrived, waiting.opening)
        return Taken(waiting.frame.pixels, time_s, waiting.index, dropped)

    def _patience(self, began: float) -> float | None:
        """Returns how many seconds to wait for a change; raises TimeoutError if the source hangs."""
        if self._paused or self._busy_since is None:
            return None
        left = self._hang_s - (time.monotonic() - max(self._busy_since, began))
        if left <= 0:
            raise TimeoutError(
                f"{self._source.name} hangs: no frame for {self._hang_s:g} s, and no error; check the "
                "source, or make a new Stream (the blocked read cannot be interrupted)"
            )
        return left

    def _is_closed(self) -> bool:
        return self._state == "closed" or self._is_abandoned

    def _run(self) -> None:
        """Reads until the end of the source or of this reader."""
        try:
            while self._step():
                pass
        except BaseException as error:  # noqa: BLE001 (`take` raises it in the thread that waits)
            with self._changed:
                self._error = error
                self._enter("lost")
        else:
            with self._changed:
                self._enter("ended")
        finally:
            self._capture.close()

    def _step(self) -> bool:
        """Reads a frame; returns False at the end of the source, or when closed."""
        try:
            frame = self._capture.read()
        except Exception as error:  # noqa: BLE001 (`take` raises it in the thread that waits)
            # Before the first frame, an error that no device raises is one of the user's code.
            is_lost = self._source.reopens and (isinstance(error, OSError) or self._frames > 0)
            return self._reconnect(error) if is_lost else self._hand_over(error)
        return frame is not None and self._put(frame)

    def _hand_over(self, error: Exception) -> bool:
        """Waits until `take` has raised the error of a frame; returns False when closed."""
        with self._changed:
            # As InOrderReader counts frames.
            self._frames += not isinstance(error, ConnectionError)
            self._error, self._busy_since = error, None
            self._notify()
            while self._error is not None and not self._is_closed():
                self._changed.wait(LOOK_S)
            self._mark_busy()
            return not self._is_closed()

    def _notify(self) -> None:
        self._changed.notify_all()
        if self._listener is not None:
            self._listener()

    def _enter(self, state: str) -> None:
        if self._state != "closed":
            self._state = state
        self._notify()

    def _mark_busy(self) -> None:
        """From now on, silence counts as hanging."""
        self._busy_since = time.monotonic()
        self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        """Replaces the waiting frame; returns False when closed."""
        with self._changed:
            if self._is_closed():
                return False
            if self._lost_since is not None:
                self._end_loss()
            if not self._paused:
                self._dropped += self._waiting is not None
                self._waiting = _Waiting(frame, self._frames, self._clock(), self._reconnects)
            self._frames += 1
            self._busy_since = time.monotonic()
            self._notify()
            return True

    def _end_loss(self) -> None:
        """Ends a loss, at the first frame: to open a generator function always succeeds."""
        self._lost_since, self._delay = None, FIRST_DELAY_S
        self._reconnects += 1
        self._state = "reading"
        _logger.warning("%s is open again", self._source.name)

    def _reconnect(self, cause: Exception) -> bool:
        """Opens the source again; returns False when closed.

        Raises:
            ConnectionError: it gave no frame for too long.
        """
        with contextlib.suppress(Exception):  # of a device that is gone
            self._capture.close()
        with self._changed:
            if self._lost_since is None:
                _logger.warning("%s is lost: %s", self._source.name, cause)
                self._lost_since = time.monotonic()
                self._enter("reconnecting")
            lost_since = self._lost_since
        while time.monotonic() - lost_since < self._reconnect_s:
            if self._sleep():
                return False
            try:
                self._capture = self._source.open()
            except Exception as error:  # noqa: BLE001 (the user's function may raise anything)
                cause = error
            else:
                return True
        raise ConnectionError(
            f"{self._source.name} was lost and did not come back in {self._reconnect_s:g} s: {cause}"
        ) from cause

    def _sleep(self) -> bool:
        """Waits before the next attempt; returns True when closed."""
        with self._changed:
            self._busy_since = None
            closed = self._changed.wait_for(self._is_closed, self._delay)
            self._delay = min(2 * self._delay, LAST_DELAY_S)
            self._mark_busy()
            return closed

    def pause(self) -> None:
        """Makes `take` wait until `resume`; frames of the meantime are thrown away."""
        with self._changed:
            self._paused, self._waiting = True, None

    def resume(self) -> None:
        """Ends a pause."""
        with self._changed:
            self._paused = False
            self._notify()

    def close(self) -> None:
        """Ends reading, and the thread, unless the source hangs."""
        with self._changed:
            self._state, self._waiting = "closed", None
            self._notify()
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_S)
            if self._thread.is_alive():
                _logger.warning("%s is still blocked in a read; its thread is left behind", self._source.name)

    def abandon(self) -> None:
        """Ends reading after the next frame. Takes no lock: the garbage collector calls it, in any thread."""
        self._is_abandoned = True

    def info(self) -> dict[str, Any]:
        """Returns state ("reading", "paused", "reconnecting", "lost", "ended", "closed"), frames, missing,
        dropped and reconnects.
        """
        with self._changed:
            paused = self._paused and self._state == "reading"
            return {
                "state": "paused" if paused else self._state,
                "frames": self._frames,
                "missing": self._capture.missing,
                "dropped": self._dropped,
                "reconnects": self._reconnects,
            }
