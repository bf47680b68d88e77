"""What every source of frames is to its reader."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from fer_edge.arrays import U8


class Frame(NamedTuple):
    """A frame as a source gives it."""

    pixels: U8
    time: float | None  # in seconds; None: the source does not know


class Capture(Protocol):
    """An opened source. One thread reads it.

    Attributes:
        missing: frames that a file states and lacks at its end; 0 before the end.
    """

    missing: int

    def read(self) -> Frame | None:
        """Returns the next frame, or None at the end; ConnectionError: the source is lost.

        After any other error that is not the last of the source, the frame after the wrong one comes.
        """

    def close(self) -> None:
        """Releases the source."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source that can be opened.

    Attributes:
        name: for messages.
        open: opens it. Raises FileNotFoundError, ConnectionError or ImportError.
        is_live: frames that are not read in time are lost; False: they wait.
        reopens: a live source can be opened again when it was lost.
        fps: frames a second, for sources whose frames carry no time; None: by the clock.
    """

    name: str
    open: Callable[[], Capture]
    is_live: bool
    reopens: bool
    fps: float | None
