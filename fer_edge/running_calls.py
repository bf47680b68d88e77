"""Lets `close` wait for the calls that other threads are running."""

import os
import threading
import time
from types import TracebackType

CLOSED = "this Recognizer was closed; make a new one"
# How often `close` looks whether the calls are done. A call takes milliseconds.
POLL_S = 0.001


class RunningCalls:
    """A context for each call, which raises RuntimeError once it is closed.

    There is no lock: a signal handler may close a recogniser in the middle of a call of its own thread, and
    appending to a list is one step for all threads. A call is entered before it looks whether this is closed,
    and `close` looks in the opposite order, so that one of them sees the other.
    """

    def __init__(self) -> None:
        self._threads: list[int] = []
        self._process = os.getpid()
        self.closed = False

    def __enter__(self) -> None:
        self._threads.append(threading.get_ident())
        if self.closed:
            self._threads.remove(threading.get_ident())
            raise RuntimeError(CLOSED)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.remove(threading.get_ident())

    def close(self) -> None:
        """Lets no more calls begin, and waits for those of other threads."""
        self.closed = True
        own = threading.get_ident()
        # The child of a fork has none of the other threads.
        while os.getpid() == self._process and any(thread != own for thread in tuple(self._threads)):
            time.sleep(POLL_S)
