"""The process of `fer-edge`, also `python -m fer_edge`. Ctrl-C ends it with exit code 130 at any moment.

This module imports nothing that takes time, because what Python does before `main` runs cannot be guarded.
"""

import os
import sys
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130


def main(command_line: Callable[[], int] | None = None) -> int:
    """Runs a command line, by default that of `fer-edge`, and returns the exit code of the process."""
    command_line = command_line or _command_line
    try:
        import signal

        # Where the caller ignores Ctrl-C (a background job of a shell script), it stays ignored.
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return command_line()
        signal.signal(signal.SIGINT, _on_interrupt)
        try:
            return command_line()
        finally:
            # The work is done and written; Python only frees its memory now.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        return INTERRUPTED


def _command_line() -> int:
    from fer_edge import cli

    return cli.main()


def _on_interrupt(signal_number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt, but ends the process during an import.

    An extension that is interrupted while it imports raises an ImportError instead, which reads as if a
    package were missing.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
