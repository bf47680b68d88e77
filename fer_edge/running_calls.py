"""Lets `close` wait until no call uses what it releases."""

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType

CLOSED = "this Recognizer was closed; make a new one"
# How often `close` looks whether the calls are done. A call takes milliseconds.
POLL_S = 0.001


class RunningCalls:
    """A context for each call, which raises RuntimeError once it is closed.

    There is no lock: a signal handler may close a recogniser in the middle of a call of its own thread, and
    appending to a list is one step for all threads. A call is entered before it looks whether this is closed,
    and `close` looks in the opposite order, so that one of them sees the other.

    Args:
        release: frees what the calls use; may be called again.
    """

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release
        self._threads: list[int] = []
        self._process = os.getpid()
        # What the last call to end must do. To take it off the list is one step: one thread does it.
        self._left: list[Callable[[], None]] = []
        self.closed = False

    def __enter__(self) -> None:
        self._threads.append(threading.get_ident())
        if self.closed:
            self._leave()
            raise RuntimeError(CLOSED)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._threads.remove(threading.get_ident())
        if self._left and not self._any_running():
            try:
                release = self._left.pop()
            except IndexError:
                # Another call has ended at the same time, and has taken it.
                return
            release()

    def close(self) -> None:
        """Lets no more calls begin, waits for those of other threads, and releases.

        Within a call, where only a signal handler can be, it waits for none: what it has interrupted may hold
        a lock that the calls of other threads need. The last call to end releases.
        """
        self.closed = True
        if threading.get_ident() in self._threads:
            self._left[:] = [self._release]
            return
        while self._any_running():
            time.sleep(POLL_S)
        self._release()

    def _any_running(self) -> bool:
        """Whether there is a call; the child of a fork has none of the other threads."""
        own, forked = threading.get_ident(), os.getpid() != self._process
        return any(thread == own or not forked for thread in tuple(self._threads))
