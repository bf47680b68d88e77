"""Output of `fer-edge stream`: a log of events for people, JSON lines for programs."""

import json
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fer_edge.stream.result import Event, StreamResult


class StreamReport(Protocol):
    """Prints each frame as soon as it is processed."""

    def frame(self, result: "StreamResult") -> None:
        """Prints what is to be said about a frame."""

    def end(self) -> None:
        """Prints what is to be said at the end."""


class JsonLines:
    """One JSON object per frame and line, see StreamResult.to_dict."""

    def frame(self, result: "StreamResult") -> None:
        """Prints the frame."""
        print(json.dumps(result.to_dict()))

    def end(self) -> None:
        """Nothing is left to print."""


class EventLog:
    """One line per event: seconds, face, what happened. The last line says how many frames there were."""

    def __init__(self) -> None:
        self._frames = self._dropped = 0
        self._ids: set[int] = set()

    def frame(self, result: "StreamResult") -> None:
        """Prints the events of the frame."""
        self._frames += 1
        self._dropped += result.dropped
        for event in result.events:
            if event.kind == "appeared":
                self._ids.add(event.id)
            print(line_of_event(event))

    def end(self) -> None:
        """Prints the totals."""
        dropped = f", {self._dropped} dropped" if self._dropped else ""
        print(f"{_count(self._frames, 'frame')}{dropped}, {_count(len(self._ids), 'face')}")


def line_of_event(event: "Event") -> str:
    """Returns an event as text: `  12.3 s  #3 happiness entered`."""
    what = event.kind if event.label is None else f"{event.label} {event.kind.removeprefix('expression_')}"
    return f"{event.time:6.1f} s  #{event.id} {what}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
