"""What the page shows beside the picture: rates, the last 60 s of each identity, and events; no pixels.

The stream's thread writes and the server's thread reads. Entries are numbered, so that each viewer gets those
it has not had yet, and a new viewer gets all of them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_edge.stream.result import StreamResult

WINDOW_S = 60.0
# Five samples a second are finer than a pixel of the page's chart.
SAMPLE_S = 0.2
# The rates are those of the last seconds.
RATE_S = 3.0
MAX_EVENTS = 200


@dataclass(frozen=True, slots=True)
class Position:
    """The number of the last sample and event that a viewer has."""

    sample: int = 0
    event: int = 0


class Journal:
    """Remembers the last 60 s of a stream.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._start = clock, clock()
        self._lock = threading.Lock()
        # (number, seconds, id, percentages, abstains) of one face.
        self._samples: deque[tuple[int, float, int, list[int], bool]] = deque()
        self._events: deque[tuple[int, dict[str, Any]]] = deque(maxlen=MAX_EVENTS)
        self._recent: deque[tuple[float, float]] = deque()  # (seconds, milliseconds of computing)
        self._sampled = -1  # the number of the last fifth of a second with a sample
        self._arrived = 0.0  # the last frame, by the clock
        self._frame_time = 0.0  # the last frame, by the source
        self._frames = self._dropped = self._last_sample = self._last_event = 0

    def now(self) -> float:
        """Returns the seconds since the page began."""
        return self._clock() - self._start

    def add(self, result: "StreamResult") -> None:
        """Takes a result of the stream."""
        now = self.now()
        with self._lock:
            self._frames += 1
            self._dropped += result.dropped
            self._arrived, self._frame_time = now, result.time
            self._recent.append((now, result.timings.get("total", 0.0)))
            for event in result.events:
                self._add_event(
                    {"kind": event.kind, "id": event.id, "label": event.label, "time": event.time}
                )
            if (interval := int(now / SAMPLE_S)) != self._sampled:
                self._sampled = interval
                self._add_samples(result, now)
            self._forget(now)

    def note(self, kind: str) -> None:
        """Adds an event of the source, at the time of the last frame."""
        with self._lock:
            self._add_event({"kind": kind, "id": None, "label": None, "time": self._frame_time})

    def _add_event(self, event: dict[str, Any]) -> None:
        self._last_event += 1
        self._events.append((self._last_event, event))

    def _add_samples(self, result: "StreamResult", now: float) -> None:
        for face in result.faces:
            self._last_sample += 1
            percentages = [round(100 * share) for share in face.probabilities.values()]
            abstains = face.abstain_reason is not None
            self._samples.append((self._last_sample, round(now, 2), face.id, percentages, abstains))

    def _forget(self, now: float) -> None:
        while self._samples and self._samples[0][1] < now - WINDOW_S:
            self._samples.popleft()
        while self._recent and self._recent[0][0] < now - RATE_S:
            self._recent.popleft()

    def rates(self) -> dict[str, Any]:
        """Returns counts, frames a second, mean milliseconds of a frame, and seconds since the last one."""
        now = self.now()
        with self._lock:
            self._forget(now)
            recent = list(self._recent)
            frames, dropped, quiet = self._frames, self._dropped, now - self._arrived
        seconds = recent[-1][0] - recent[0][0] if recent else 0.0
        return {
            "frames": frames,
            "dropped": dropped,
            "fps": round((len(recent) - 1) / seconds, 1) if seconds > 0 else 0.0,
            "ms": round(sum(ms for _, ms in recent) / len(recent), 1) if recent else 0.0,
            "quiet_s": round(quiet, 1),
        }

    def since(self, position: Position) -> tuple[dict[str, Any], Position]:
        """Returns the samples and events after a position, and the new position."""
        with self._lock:
            samples = _tail(self._samples, position.sample)
            events = _tail(self._events, position.event)
            end = Position(self._last_sample, self._last_event)
        entries = {
            "samples": [sample[1:] for sample in samples],
            "events": [event for _, event in events],
        }
        return entries, end


def _tail(entries: deque[Any], after: int) -> list[Any]:
    """Returns the entries whose number is above `after`; the numbers rise."""
    tail = []
    for entry in reversed(entries):
        if entry[0] <= after:
            break
        tail.append(entry)
    return tail[::-1]
