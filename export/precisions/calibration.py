"""Ranges of activations for int8, from histograms of their absolute values over calibration pictures.

A range that holds every value wastes levels on outliers; one that cuts them clips. `METHODS` are the usual
compromises; export.convert measures all of them and takes the best.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import onnx

from fer_edge.arrays import F32, F64
from fer_edge.backends.ort import open_session

BINS = 2048
LEVELS = 128  # of int8 on the positive side, zero included
STEP = 16  # bins between the candidates of the entropy method
BATCH = 8  # pictures whose activations are in memory at once; TKFNet-18 at 224 px has 40 MB each

# Counts of |x| in BINS equal bins from 0 to the largest value -> share of the bins to keep, in (0, 1].
Method = Callable[[F64], float]
Batches = Callable[[], Iterable[F32]]


def percentile(share: float) -> Method:
    """Keeps this share of all values."""

    def kept(counts: F64) -> float:
        below = np.cumsum(counts) / counts.sum()
        return float(np.searchsorted(below, share) + 1) / len(counts)

    return kept


def entropy(counts: F64) -> float:
    """Loses the least information: the smallest Kullback-Leibler divergence between the values, clipped to
    the range, and the same in LEVELS levels.

    Source: S. Migacz, "8-bit Inference with TensorRT", GTC 2017.
    """
    # Zeros, half of the values after ReLU, are exact in any range and say nothing about it.
    counts = np.concatenate([counts[1:2], counts[1:]])
    kept = range(LEVELS, len(counts) + 1, STEP)
    return min(kept, key=lambda bins: _divergence(counts, bins)) / len(counts)


def _divergence(counts: F64, bins: int) -> float:
    clipped = counts[:bins].copy()
    clipped[-1] += counts[bins:].sum()
    filled = clipped > 0
    level = np.arange(bins) * LEVELS // bins
    members = np.bincount(level, filled, LEVELS)
    mean = np.bincount(level, counts[:bins], LEVELS) / np.maximum(members, 1)
    levelled = mean[level] * filled
    if not levelled.sum():
        return np.inf
    p, q = clipped / clipped.sum(), levelled / levelled.sum()
    # A value that rounds to a level of no others would be infinitely surprising.
    q = np.maximum(q, 1e-12)
    return float((p[filled] * np.log(p[filled] / q[filled])).sum())


METHODS: dict[str, Method] = {
    "largest": lambda counts: 1.0,
    "percentile 99.999": percentile(0.99999),
    "percentile 99.99": percentile(0.9999),
    "percentile 99.9": percentile(0.999),
    "entropy": entropy,
}


class Histograms:
    """Histograms of |x| of tensors over pictures, in two passes: the largest value, then the counts."""

    def __init__(self, proto: onnx.ModelProto, names: Iterable[str], batches: Batches) -> None:
        self._largest: dict[str, float] = {}
        self._counts: dict[str, F64] = {}
        names = list(names)
        for name, x in _activations(proto, names, batches()):
            self._largest[name] = max(self._largest.get(name, 0.0), float(np.abs(x).max(initial=0)))
        for name, x in _activations(proto, names, batches()):
            width = (self._largest[name] or 1.0) / BINS
            bins = np.minimum((np.abs(x).ravel() / np.float32(width)).astype(np.int32), BINS - 1)
            self._counts[name] = self._counts.get(name, 0) + np.bincount(bins, minlength=BINS).astype(float)

    def ranges(self, method: Method) -> dict[str, float]:
        """Tensor -> the largest absolute value that int8 represents."""
        return {
            name: (largest or 1.0) * method(self._counts[name]) for name, largest in self._largest.items()
        }


def _activations(
    proto: onnx.ModelProto, names: list[str], batches: Iterable[F32]
) -> Iterator[tuple[str, F32]]:
    """Name and values of each tensor for each batch."""
    watched = onnx.ModelProto()
    watched.CopyFrom(proto)
    given = watched.graph.input[0].name
    shown = {value.name for value in watched.graph.output}
    inner = [name for name in names if name != given]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner if name not in shown)
    session = open_session(watched.SerializeToString())
    for x in batches:
        for k in range(0, len(x), BATCH):
            part = x[k : k + BATCH]
            if given in names:
                yield given, part
            if inner:
                yield from zip(inner, session.run(inner, {given: part}), strict=True)
