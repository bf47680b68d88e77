"""Latency of two files, measured alternately, so that other load on the machine affects both alike."""

import time
from dataclasses import dataclass

import numpy as np

from fer_edge.arrays import F32
from fer_edge.backends.ort import open_session

WARMUP = 5


@dataclass(frozen=True, slots=True)
class PairedTimes:
    """Median times in ms, and the quartiles of second / first over the pairs."""

    batch: int
    pairs: int
    first_ms: float
    second_ms: float
    ratio: float
    ratio_25: float
    ratio_75: float


def time_in_pairs(first: bytes, second: bytes, x: F32, pairs: int) -> PairedTimes:
    """Runs both files on x, ``pairs`` times each; the order alternates."""
    sessions = open_session(first), open_session(second)
    seconds = np.zeros((pairs, 2))
    for k in range(-WARMUP, pairs):
        for which in (0, 1) if k % 2 else (1, 0):
            started = time.perf_counter()
            sessions[which].run(None, {"input": x})
            if k >= 0:
                seconds[k, which] = time.perf_counter() - started
    ratios = seconds[:, 1] / seconds[:, 0]
    low, middle, high = (float(q) for q in np.percentile(ratios, (25, 50, 75)))
    first_ms, second_ms = (float(ms) for ms in 1000 * np.median(seconds, axis=0))
    return PairedTimes(len(x), pairs, first_ms, second_ms, middle, low, high)
