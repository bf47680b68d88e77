"""Events with hysteresis: changes that last, from the smoothed probabilities.

An expression is entered when its probability is at least `enter` for a minimum duration, and left when it is
below `leave` for as long, or when another one is entered. Two thresholds, because with one a probability
close to it would enter and leave all the time.
"""

from dataclasses import dataclass

from fer_edge.stream.result import Event, EventKind
from fer_edge.stream.timing import has_lasted


@dataclass(frozen=True, slots=True)
class EventRules:
    """When events are reported.

    Attributes:
        enter: minimum smoothed probability of an expression that is entered, in (0, 1].
        leave: an expression is left below this probability, in [0, enter].
        hold_ms: how long both must last.
        appear_ms: a face appears when it was first seen this long ago. Expressions are entered after that.

    Raises:
        ValueError: a value is outside its range.
    """

    enter: float = 0.5
    leave: float = 0.35
    hold_ms: float = 100.0
    appear_ms: float = 100.0

    def __post_init__(self) -> None:
        if not (0 < self.enter <= 1 and 0 <= self.leave <= self.enter):
            raise ValueError(
                f"enter must be in (0, 1] and leave in [0, enter], got {self.enter!r} and {self.leave!r}"
            )
        for name in ("hold_ms", "appear_ms"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} must be a number of milliseconds, at least 0, got {getattr(self, name)!r}"
                )


@dataclass(slots=True)
class _Face:
    first_time: float
    seen_time: float
    appeared: bool = False
    expression: int | None = None
    low_since: float | None = None  # the expression is below `leave`
    candidate: int | None = None
    candidate_since: float = 0.0


class EventWriter:
    """The states of the faces of one stream.

    Args:
        rules: when events are reported.
        labels: the expressions.
    """

    def __init__(self, rules: EventRules, labels: tuple[str, ...]) -> None:
        self._rules = rules
        self._labels = labels
        self._hold, self._appear = rules.hold_ms / 1e3, rules.appear_ms / 1e3
        self._faces: dict[int, _Face] = {}

    def update(self, id: int, probabilities: list[float], *, steady: bool, time: float) -> list[Event]:
        """Returns the events of a face that a frame shows.

        Args:
            id: the face.
            probabilities: smoothed, one for each expression.
            steady: the probabilities are smoothed ones; False: nobody knows the expression at present.
            time: of the frame, in seconds.
        """
        face = self._faces.setdefault(id, _Face(time, time))
        face.seen_time = time
        events: list[Event] = []
        if not face.appeared and has_lasted(face.first_time, time, self._appear):
            face.appeared = True
            events.append(Event("appeared", id, None, time, face.first_time))
        self._compare(face, probabilities, steady, time)
        is_candidate = face.candidate is not None and has_lasted(face.candidate_since, time, self._hold)
        entered = face.appeared and is_candidate
        low = face.low_since is not None and has_lasted(face.low_since, time, self._hold)
        if face.expression is not None and (entered or low):
            since = face.candidate_since if face.low_since is None else face.low_since
            events.append(self._event("expression_left", id, face, time, since))
            face.expression = face.low_since = None
        if entered:
            face.expression, face.candidate = face.candidate, None
            events.append(self._event("expression_entered", id, face, time, face.candidate_since))
        return events

    def _compare(self, face: _Face, probabilities: list[float], steady: bool, time: float) -> None:
        """Notes since when the probabilities are beyond the thresholds."""
        if face.expression is not None:
            is_low = not steady or probabilities[face.expression] < self._rules.leave
            if not is_low:
                face.low_since = None
            elif face.low_since is None:
                face.low_since = time
        best = probabilities.index(max(probabilities))
        is_strong = steady and best != face.expression and probabilities[best] >= self._rules.enter
        candidate = best if is_strong else None
        if candidate != face.candidate:
            face.candidate, face.candidate_since = candidate, time

    def end(self, id: int, time: float) -> list[Event]:
        """Returns the events of a face that is gone."""
        face = self._faces.pop(id, None)
        if face is None or not face.appeared:
            return []
        events = []
        if face.expression is not None:
            events.append(self._event("expression_left", id, face, time, face.seen_time))
        events.append(Event("disappeared", id, None, time, face.seen_time))
        return events

    def expression(self, id: int) -> str | None:
        """Returns the entered expression of a face."""
        entered = self._faces[id].expression
        return None if entered is None else self._labels[entered]

    def _event(self, kind: EventKind, id: int, face: _Face, time: float, since: float) -> Event:
        assert face.expression is not None
        return Event(kind, id, self._labels[face.expression], time, since)
