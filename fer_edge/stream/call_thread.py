"""Calls of an event loop in a thread of their own.

Not a ThreadPoolExecutor: the interpreter waits for its threads at exit, also for one that is blocked in a
source.
"""

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

_Calls = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]


class CallThread:
    """Runs calls one after another, in one thread that starts with the first. Threads may share it.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._calls: _Calls = SimpleQueue()
        self._thread = threading.Thread(target=_run, args=(self._calls,), name=name, daemon=True)
        self._lock = threading.Lock()
        # Also for an object that is not closed. None ends the thread.
        self._end = weakref.finalize(self, self._calls.put, None)

    def submit(self, function: Callable[[], Any]) -> "Future[Any] | None":
        """Returns the future of a call, which cannot be cancelled; None when closed."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if not self._end.alive:
                return None
            if self._thread.ident is None:
                self._thread.start()
            self._calls.put((future, function))
        return future

    def close(self) -> None:
        """Ends the thread after the calls that were submitted; does not wait for it."""
        with self._lock:
            self._end()


def _run(calls: _Calls) -> None:
    while (call := calls.get()) is not None:
        _answer(*call)
        # It would keep the frame and the stream while the next call is awaited.
        del call


def _answer(future: "Future[Any]", function: Callable[[], Any]) -> None:
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 (raised where the future is awaited)
        future.set_exception(error)
    else:
        future.set_result(result)
