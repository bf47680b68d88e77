"""From observations to steady faces and events. The same code serves a live stream and a replay."""

from dataclasses import dataclass

import numpy as np

from fer_edge.arrays import F32
from fer_edge.stages.calibrate import softmax
from fer_edge.stream.baseline import Baseline
from fer_edge.stream.events import EventRules, EventWriter
from fer_edge.stream.observation import Observation
from fer_edge.stream.result import Event, StreamFace
from fer_edge.stream.smoothing import Smoother, Smoothing


@dataclass(frozen=True, slots=True)
class Calibration:
    """From logits to probabilities; see fer_edge.models.ModelSpec."""

    labels: tuple[str, ...]
    temperature: float
    confidence_temperature: float


class Steady:
    """Smooths the expressions of the faces of one stream, and notices events.

    Args:
        calibration: of the expression network.
        smoothing: the settings.
        events: when events are reported.

    Raises:
        ValueError: a baseline is wanted, and the network does not know "neutral".
    """

    def __init__(self, calibration: Calibration, smoothing: Smoothing, events: EventRules) -> None:
        self._calibration = calibration
        self._smoother = Smoother(smoothing)
        self._baseline = (
            None if smoothing.baseline_ms is None else Baseline(smoothing.baseline_ms, calibration.labels)
        )
        self._events = EventWriter(events, calibration.labels)
        self._time: float | None = None  # of the frame before

    def update(self, seen: Observation) -> tuple[tuple[StreamFace, ...], tuple[Event, ...]]:
        """Returns the faces and events of the next frame."""
        seconds = 0.0 if self._time is None else seen.time - self._time
        self._time = seen.time
        events = [event for face in seen.ended for event in self._end(face, seen.time)]
        if not seen.ids:
            return (), tuple(events)
        calibration = self._calibration
        weights = softmax(seen.logits, calibration.confidence_temperature).max(axis=1)
        trusted = [reason is None for reason in seen.reasons]
        values = seen.logits.astype(np.float64)
        if self._baseline is not None:
            values = self._baseline.corrected(seen.ids, values, trusted, seconds)
        values, steady = self._smoother.update(seen.ids, values, weights, trusted, seen.time, seconds)
        smoothed = values.astype(np.float32)
        probabilities = softmax(smoothed, calibration.temperature)
        confidence = softmax(smoothed, calibration.confidence_temperature).max(axis=1)
        for face, row, is_steady in zip(seen.ids, probabilities.tolist(), steady, strict=True):
            events += self._events.update(face, row, steady=is_steady, time=seen.time)
        return self._faces(seen, probabilities, confidence), tuple(events)

    def _faces(self, seen: Observation, probabilities: F32, confidence: F32) -> tuple[StreamFace, ...]:
        labels = self._calibration.labels
        found = seen.found
        rows = zip(
            *(seen.ids, found.boxes.tolist(), found.landmarks.tolist(), found.scores.tolist()),
            *(probabilities.tolist(), probabilities.argmax(axis=1).tolist(), confidence.tolist()),
            *(seen.reasons, seen.is_fresh),
            strict=True,
        )
        return tuple(
            StreamFace(
                box=tuple(box),
                landmarks=tuple((x, y) for x, y in points),
                score=score,
                label=labels[best],
                confidence=sure,
                probabilities=dict(zip(labels, row, strict=True)),
                abstain_reason=reason,
                id=id,
                expression=self._events.expression(id),
                is_fresh=is_fresh,
            )
            for id, box, points, score, row, best, sure, reason, is_fresh in rows
        )

    def _end(self, face: int, time: float) -> list[Event]:
        self._smoother.end(face)
        if self._baseline is not None:
            self._baseline.end(face)
        return self._events.end(face, time)
