"""Ctrl-C and SIGTERM end a command that writes files, but let it finish what it writes."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fer_edge.__main__ import is_importing

# As a shell reports a process that SIGTERM ended.
TERMINATED = 128 + signal.SIGTERM
# Until the next look whether an import has ended, which nothing else tells.
AGAIN_S = 0.005


@contextmanager
def graceful_stop() -> Iterator[None]:
    """Within it, the first Ctrl-C raises KeyboardInterrupt and the first SIGTERM SystemExit(143).

    Later ones are ignored, so that a video file is finished even if the user is impatient. A signal that the
    caller ignores (a background job of a shell script) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may change handlers, and only it is interrupted.
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    on_alarm = signal.getsignal(signal.SIGALRM)
    handled = [number for number in numbers if before[number] is not signal.SIG_IGN]

    def stop(number: int, frame: FrameType | None) -> None:
        # An extension that is interrupted while it imports raises an ImportError.
        if is_importing(frame):
            signal.signal(signal.SIGALRM, lambda _, later: stop(number, later))
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
            return
        for other in handled:
            signal.signal(other, signal.SIG_IGN)
        if number == signal.SIGTERM:
            sys.exit(TERMINATED)
        on_interrupt = before[signal.SIGINT]
        if callable(on_interrupt):
            on_interrupt(number, frame)
        raise KeyboardInterrupt

    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    finally:
        # The timer may be the program's own, unless `stop` has taken it.
        if signal.getsignal(signal.SIGALRM) is not on_alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, on_alarm)
        for number in handled:
            signal.signal(number, before[number])
