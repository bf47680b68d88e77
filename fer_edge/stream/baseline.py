"""The neutral baseline of each face: what its resting face seems to show.

Some faces look sad or angry at rest. In the first seconds, in which the person is taken to be neutral, the
mean logits of the face are learnt. Afterwards, each expression that comes closer to neutral than LEAD there
is lowered by as much, so that the resting face is neutral. Expressions that the resting face does not show
stay as they are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

# By how much (in logits) neutral leads on the resting face, at least.
LEAD = 1.0


@dataclass(slots=True)
class _Rest:
    sum: F64  # [C] of logits times seconds
    seconds: float
    correction: F64 | None  # [C], once it is learnt


class Baseline:
    """The baselines of the faces of one stream.

    Args:
        baseline_ms: how long it is learnt.
        labels: the C expressions.

    Raises:
        ValueError: the model has no expression "neutral".
    """

    def __init__(self, baseline_ms: float, labels: tuple[str, ...]) -> None:
        if "neutral" not in labels:
            raise ValueError(
                f"baseline_ms needs a model with the expression neutral, got {', '.join(labels)}; "
                "leave it out"
            )
        self._duration = baseline_ms / 1e3
        self._neutral = labels.index("neutral")
        self._rests: dict[int, _Rest] = {}

    def end(self, face: int) -> None:
        """Forgets a face."""
        self._rests.pop(face, None)

    def corrected(self, ids: tuple[int, ...], logits: F64, trusted: list[bool], seconds: float) -> F64:
        """Returns the logits [N, C] without what the resting faces show.

        Args:
            ids: N faces.
            logits: [N, C].
            trusted: [N], False if the face abstains; it teaches nothing then.
            seconds: since the frame before; the first frame of a face counts nothing.
        """
        corrected = logits.copy()
        for row, (face, counts) in enumerate(zip(ids, trusted, strict=True)):
            rest = self._rests.get(face)
            if rest is None:
                self._rests[face] = _Rest(np.zeros(logits.shape[1]), 0.0, None)
            elif rest.correction is not None:
                corrected[row] -= rest.correction
            elif counts:
                self._learn(rest, logits[row], seconds)
        return corrected

    def _learn(self, rest: _Rest, logits: F64, seconds: float) -> None:
        rest.sum += logits * seconds
        rest.seconds += seconds
        if rest.seconds >= self._duration > 0:
            mean = rest.sum / rest.seconds
            excess = np.maximum(mean - mean[self._neutral] + LEAD, 0.0)
            excess[self._neutral] = 0.0
            rest.correction = excess
