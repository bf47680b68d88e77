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
        self._left_to: int | None = None  # the thread whose call releases at its end
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
        own = threading.get_ident()
        self._threads.remove(own)
        if self._left_to == own and own not in self._threads:
            self._left_to = None
            self._release()

    def close(self) -> None:
        """Lets no more calls begin, waits for those of other threads, and releases.

        Within a call, where only a signal handler can be, it does not wait for that one: the call goes on,
        and releases at its end.
        """
        self.closed = True
        own = threading.get_ident()
        # The child of a fork has none of the other threads.
        while os.getpid() == self._process and any(thread != own for thread in tuple(self._threads)):
            time.sleep(POLL_S)
        if own in self._threads:
            self._left_to = own
        else:
            self._release()
