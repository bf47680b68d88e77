"""From observations to steady faces and events. The same code serves a live stream and a replay."""

from dataclasses import dataclass

import numpy as np

from fer_edge.calibrate import softmax
from fer_edge.result import faces_from_arrays
from fer_edge.stream.baseline import Baseline
from fer_edge.stream.events import EventRules, EventWriter
from fer_edge.stream.observing import Observation
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
        plain = faces_from_arrays(seen.found, probabilities, confidence, calibration.labels, seen.reasons)
        faces = tuple(
            StreamFace(
                box=face.box,
                landmarks=face.landmarks,
                score=face.score,
                label=face.label,
                confidence=face.confidence,
                probabilities=face.probabilities,
                abstain_reason=face.abstain_reason,
                id=id,
                expression=self._events.expression(id),
                is_fresh=is_fresh,
            )
            for face, id, is_fresh in zip(plain, seen.ids, seen.is_fresh, strict=True)
        )
        return faces, tuple(events)

    def _end(self, face: int, time: float) -> list[Event]:
        self._smoother.end(face)
        if self._baseline is not None:
            self._baseline.end(face)
        return self._events.end(face, time)
