"""Percentiles with confidence intervals, and the rules by which a measurement is called unstable.

The bootstrap draws whole turns (see loop), because calls that follow each other share the state of the
machine; single calls would give intervals that are too narrow. An interval covers what varied within this
run, not what differs from one run to the next.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fer_edge.arrays import F64
from fer_edge.benchmark.measure.loop import Limits, Turns

PERCENTILES = (25, 50, 75, 90, 99)
ROUNDS = 1000  # of the bootstrap
LEVEL = 0.95
# A percentile needs this many queries, so that one is beyond it in most resamples.
MIN_QUERIES_P99 = 300
# Rules of an unstable measurement.
MAX_HALF_WIDTH = 0.05  # of the median's interval, as a share of the median
MAX_DRIFT = 0.10  # between the medians of the first and the last third, as a share of the median

# Times [n] of a resample -> figure.
Figure = Callable[[F64], float]


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


def figures_for(queries: int) -> dict[str, Figure]:
    """The figures that this number of queries supports."""
    percentiles = [p for p in PERCENTILES if p < 99 or queries >= MIN_QUERIES_P99]
    figures: dict[str, Figure] = {f"p{p}": _percentile(p) for p in percentiles}
    return figures | {"mean": lambda times: float(times.mean())}


def summarise(turns: Turns, limits: Limits) -> Summary:
    """Returns the figures of one subject."""
    times = np.concatenate([np.array(turn) for turn in turns])
    figures = figures_for(len(times))
    values = {name: figure(times) for name, figure in figures.items()}
    draws = resampled(turns, figures)
    intervals = {name: interval_of(draw) for name, draw in draws.items()}
    return Summary(
        queries=len(times),
        seconds=round(float(times.sum()) / 1e3, 3),
        ms={name: rounded(value) for name, value in values.items()},
        interval={name: tuple(rounded(end) for end in ends) for name, ends in intervals.items()},
        unstable=tuple(_reasons(turns, times, intervals["p50"], limits)),
    )


def resampled(turns: Turns, figures: dict[str, Figure], seed: int = 0) -> dict[str, F64]:
    """Each figure over ROUNDS resamples of the turns, [ROUNDS]."""
    generator = np.random.default_rng(seed)
    parts = [np.array(turn) for turn in turns]
    draws = np.empty((len(figures), ROUNDS))
    for number in range(ROUNDS):
        chosen = generator.integers(0, len(parts), len(parts))
        times = np.concatenate([parts[index] for index in chosen])
        draws[:, number] = [figure(times) for figure in figures.values()]
    return dict(zip(figures, draws, strict=True))


def interval_of(draws: F64) -> tuple[float, float]:
    """The central 95 % of resampled figures."""
    low, high = np.quantile(draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def rounded(value: float) -> float:
    """Four significant digits, which is more than any measurement here is worth."""
    return float(f"{value:.4g}")


def _percentile(p: int) -> Figure:
    return lambda times: float(np.percentile(times, p))


def _reasons(turns: Turns, times: F64, interval: tuple[float, float], limits: Limits) -> list[str]:
    median = float(np.median(times))
    reasons = []
    half_width = (interval[1] - interval[0]) / 2 / median if median else 0.0
    if half_width > MAX_HALF_WIDTH:
        reasons.append(f"median known to {half_width:.0%} only")
    third = max(1, len(turns) // 3)
    first, last = (float(np.median(np.concatenate(part))) for part in (turns[:third], turns[-third:]))
    if median and abs(last - first) > MAX_DRIFT * median:
        reasons.append(f"drifted by {(last - first) / median:+.0%}")
    if len(times) < limits.queries:
        reasons.append(f"{len(times)} of {limits.queries} queries")
    return reasons
