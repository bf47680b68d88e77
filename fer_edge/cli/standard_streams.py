"""stdout and stderr of the process, as they may be: closed, full, or a pipe that nobody reads.

Results go to stdout, and an error of it ends the command. Messages go to stderr. Those that cannot be written
are dropped: the work goes on, and its results and the exit code say whether it succeeded.
"""

import contextlib
import io
import os
import sys
from typing import Any, TextIO


class MessageStream:
    """A stream that drops what cannot be written.

    Args:
        stream: takes what can be written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text, or drops it; returns its length."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered. Python does so at exit, and a failure would change the exit code."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def close(self) -> None:
        """Closes the stream; what is buffered is written or dropped."""
        with contextlib.suppress(OSError):
            self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def prepare_streams() -> None:
    """Makes stdout and stderr usable: never None, one write a line, and no error for an unusual file name.

    stderr becomes a MessageStream.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Closed by the caller (`>&-`).
        if stream is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            # By line also into a pipe or file, so that a program that is killed has lost no result.
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    if not isinstance(sys.stderr, MessageStream):
        sys.stderr = MessageStream(sys.stderr)


def discard_stdout() -> None:
    """Python flushes stdout at exit; what is left must not cause another error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
