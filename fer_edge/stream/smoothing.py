"""Steady expressions: the logits of each face are smoothed over time.

Exponential smoothing whose time constant is in milliseconds, so that the result does not depend on the frame
rate. Logits are smoothed and not probabilities, because a mean of logits is a product of probabilities: two
frames that agree stay as sure as one. A frame counts as much as its confidence; a frame that abstains does
not count.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Settings of the smoothing.

    Attributes:
        time_constant_ms: after this time, a change shows to 63 % (at confidence 1). 0: no smoothing.
            `python -m benchmarks.stream` shows how steadiness and delay depend on it.
        stale_ms: the smoothed values are dropped when a face was not read with trust for this long.
        baseline_ms: the first milliseconds of each face, in which it is taken to be neutral: expressions that
            the resting face seems to show are then lowered (see fer_edge.stream.baseline). None: no baseline.

    Raises:
        ValueError: a time is negative or not finite.
    """

    time_constant_ms: float = 150.0
    stale_ms: float = 2000.0
    baseline_ms: float | None = None

    def __post_init__(self) -> None:
        for name in ("time_constant_ms", "stale_ms", "baseline_ms"):
            value = getattr(self, name)
            if value is None and name == "baseline_ms":
                continue
            if not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be a number of milliseconds, at least 0, got {value!r}")


@dataclass(slots=True)
class _State:
    logits: F64  # [C], mean 0
    trusted_time: float  # of the last frame that counted


class Smoother:
    """The smoothed logits of the faces of one stream.

    Args:
        smoothing: the settings.
    """

    def __init__(self, smoothing: Smoothing) -> None:
        self._time_constant = smoothing.time_constant_ms / 1e3
        self._stale = smoothing.stale_ms / 1e3
        self._states: dict[int, _State] = {}

    def end(self, face: int) -> None:
        """Forgets a face."""
        self._states.pop(face, None)

    def update(
        self,
        ids: tuple[int, ...],
        logits: F64,
        weights: F32,
        trusted: list[bool],
        time: float,
        seconds: float,
    ) -> tuple[F64, list[bool]]:
        """Takes a frame into account.

        Args:
            ids: N faces.
            logits: [N, C].
            weights: [N], how much the frame counts, in [0, 1].
            trusted: [N], False if the face abstains.
            time: of the frame, in seconds.
            seconds: since the frame before.

        Returns:
            The smoothed logits [N, C], and whether each face has some; the logits of this frame for those
            that have none.
        """
        values = logits - logits.mean(axis=1, keepdims=True)
        shares = np.ones(len(ids))
        if self._time_constant > 0:
            shares -= np.exp(-seconds * weights.astype(np.float64) / self._time_constant)
        steady: list[bool] = []
        for row, (face, counts) in enumerate(zip(ids, trusted, strict=True)):
            state = self._states.get(face)
            if counts:
                if state is not None:
                    values[row] = state.logits + shares[row] * (values[row] - state.logits)
                self._states[face] = _State(values[row], time)
            elif state is not None and time - state.trusted_time <= self._stale:
                values[row] = state.logits
            else:
                self.end(face)
            steady.append(face in self._states)
        return values, steady
