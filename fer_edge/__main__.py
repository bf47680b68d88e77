"""The process of `fer-edge`, also `python -m fer_edge`. From `main` on, Ctrl-C ends it with exit code 130.

Before, while Python itself starts, a Ctrl-C shows Python's traceback. So that this ends as soon as possible,
this module only imports what every Python process has loaded; `signal` would load `enum` and `functools`.
"""

import _signal as signal  # type: ignore[import-not-found]
import os
import sys

# Not that of typing, as in fer_edge/__init__.py.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

INTERRUPTED = 130


def main(command_line: "Callable[[], int] | None" = None) -> int:
    """Runs a command line, by default that of `fer-edge`, and returns the exit code of the process."""
    try:
        # Where the caller ignores Ctrl-C (a background job of a shell script), it stays ignored.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _on_interrupt)
            return _run(command_line or _command_line)
        return (command_line or _command_line)()
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(command_line: "Callable[[], int]") -> int:
    try:
        return command_line()
    finally:
        # The work is done and written; Python only frees its memory now.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _command_line() -> int:
    from fer_edge import cli

    return cli.main()


def _on_interrupt(signal_number: int, frame: "FrameType | None") -> None:
    """Raises KeyboardInterrupt, but ends the process during an import.

    An extension that is interrupted while it imports raises an ImportError instead, which reads as if a
    package were missing.
    """
    if is_importing(frame):
        os._exit(INTERRUPTED)
    raise KeyboardInterrupt


def is_importing(frame: "FrameType | None") -> bool:
    """Whether a frame is part of an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


if __name__ == "__main__":
    sys.exit(main())
