"""Percentiles with confidence intervals, and the rules by which a measurement is called unstable.

The bootstrap draws whole turns (see loop), because calls that follow each other share the state of the
machine; single calls would give intervals that are too narrow. An interval covers what varied within this
run, not what differs from one run to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fer_edge.arrays import F64
from fer_edge.benchmark.measure.loop import Limits, Turns

FIGURES = ("p25", "p50", "p75", "p90", "p99", "mean")
ROUNDS = 1000  # of the bootstrap
MAX_DRAWN = 1_000_000  # times that are in memory at once
LEVEL = 0.95
# A percentile needs this many queries, so that one is beyond it in most resamples.
MIN_QUERIES_P99 = 300
# Rules of an unstable measurement.
MAX_HALF_WIDTH = 0.05  # of the median's interval, as a share of the median
MAX_DRIFT = 0.10  # between the medians of the first and the last third, as a share of the median


@dataclass(frozen=True, slots=True)
class Summary:
    """Times in milliseconds by name ("p25", ..., "mean"), and the ends of their 95 % intervals.

    "p99" is missing where there are too few queries. `unstable` has one short reason for each broken rule.
    """

    queries: int
    seconds: float
    ms: dict[str, float]
    interval: dict[str, tuple[float, ...]]
    unstable: tuple[str, ...]


def figures_for(queries: int) -> list[str]:
    """The figures that this number of queries supports."""
    return [name for name in FIGURES if name != "p99" or queries >= MIN_QUERIES_P99]


def summarise(turns: Turns, limits: Limits) -> Summary:
    """Returns the figures of one subject, all of whose turns have the same number of calls."""
    times = np.array(turns)
    names = figures_for(times.size)
    values = figures(times.reshape(1, -1), names)
    intervals = {name: interval_of(draws) for name, draws in resampled(times, names).items()}
    return Summary(
        queries=times.size,
        seconds=round(float(times.sum()) / 1e3, 3),
        ms={name: rounded(value[0]) for name, value in values.items()},
        interval={name: tuple(rounded(end) for end in ends) for name, ends in intervals.items()},
        unstable=tuple(_reasons(times, intervals["p50"], limits)),
    )


def figures(times: F64, names: Sequence[str]) -> dict[str, F64]:
    """Each figure of each row of times [R, n], as [R]."""
    percentiles = [name for name in names if name != "mean"]
    values = np.percentile(times, [int(name[1:]) for name in percentiles], axis=1)
    found: dict[str, F64] = dict(zip(percentiles, values, strict=True))
    return found | {"mean": times.mean(axis=1)} if "mean" in names else found


def resampled(times: F64, names: Sequence[str], seed: int = 0) -> dict[str, F64]:
    """Each figure over ROUNDS resamples of the turns of times [turns, calls], as [ROUNDS]."""
    generator = np.random.default_rng(seed)
    at_once = max(1, MAX_DRAWN // times.size)
    parts = []
    for start in range(0, ROUNDS, at_once):
        rounds = min(at_once, ROUNDS - start)
        chosen = generator.integers(0, len(times), (rounds, len(times)))
        parts.append(figures(times[chosen].reshape(rounds, -1), names))
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def interval_of(draws: F64) -> tuple[float, float]:
    """The central 95 % of resampled figures."""
    low, high = np.quantile(draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def rounded(value: float) -> float:
    """Four significant digits, which is more than any measurement here is worth."""
    return float(f"{value:.4g}")


def _reasons(times: F64, interval: tuple[float, float], limits: Limits) -> list[str]:
    median = float(np.median(times))
    reasons = []
    half_width = (interval[1] - interval[0]) / 2
    if half_width > MAX_HALF_WIDTH * median:
        reasons.append(f"median known to {half_width / median:.0%} only")
    third = max(1, len(times) // 3)
    first, last = float(np.median(times[:third])), float(np.median(times[-third:]))
    if abs(last - first) > MAX_DRIFT * median:
        reasons.append(f"drifted by {(last - first) / median:+.0%}")
    if times.size < limits.queries:
        reasons.append(f"{times.size} of {limits.queries} queries")
    return reasons
