"""Percentiles, their intervals, and the rules of an unstable measurement."""

import numpy as np
import pytest

from fer_edge.benchmark.measure import statistics
from fer_edge.benchmark.measure.loop import Limits
from fer_edge.benchmark.measure.statistics import figures_for, interval_of, resampled, rounded, summarise

LIMITS = Limits(queries=100, seconds=1.0)


def test_figures_of_known_times() -> None:
    # 0 to 999 ms in an order without drift.
    times = np.arange(1000.0).reshape(100, 10, order="F")
    summary = summarise(times.tolist(), LIMITS)
    assert (summary.queries, summary.seconds) == (1000, 499.5)
    expected = {"p25": 249.8, "p50": 499.5, "p75": 749.2, "p90": 899.1, "p99": 989.0, "mean": 499.5}
    assert summary.ms == pytest.approx(expected, rel=1e-3)
    for name, (low, high) in summary.interval.items():
        assert low <= summary.ms[name] <= high


def test_equal_times_are_certain_and_stable() -> None:
    summary = summarise([[2.0] * 10] * 40, LIMITS)
    assert summary.ms == dict.fromkeys(statistics.FIGURES, 2.0)
    assert set(summary.interval.values()) == {(2.0, 2.0)}
    assert summary.unstable == ()


def test_few_queries_support_no_p99() -> None:
    assert "p99" not in figures_for(299)
    assert "p99" in figures_for(300)
    assert set(summarise([[1.0] * 10] * 10, LIMITS).ms) == {"p25", "p50", "p75", "p90", "mean"}


def test_turns_are_drawn_as_a_whole() -> None:
    # Ten calls of a turn are equal: there are 20 independent times, not 200.
    generator = np.random.default_rng(1)
    turn_means = generator.normal(10, 1, 20)
    times = np.repeat(turn_means[:, None], 10, axis=1)
    low, high = interval_of(resampled(times, ["mean"])["mean"])
    # Of a mean of 20 values: 1.96 standard errors to either side, 0.44.
    standard_error = turn_means.std() / np.sqrt(20)
    assert (high - low) / 2 == pytest.approx(1.96 * standard_error, rel=0.15)


def test_an_interval_holds_the_true_mean_in_95_of_100_runs() -> None:
    generator, held = np.random.default_rng(2), 0
    for run in range(100):
        times = generator.gamma(2.0, 1.0, (60, 5))
        low, high = interval_of(resampled(times, ["mean"], seed=run)["mean"])
        held += low <= 2.0 <= high
    assert 88 <= held <= 99


def test_resampling_in_parts_gives_the_same_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    times = np.random.default_rng(3).normal(5, 1, (10, 4))
    whole = resampled(times, ["p50"])["p50"]
    monkeypatch.setattr(statistics, "MAX_DRAWN", 400)
    assert resampled(times, ["p50"])["p50"].tolist() == whole.tolist()


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([[1.0] * 10] * 9, "90 of 100 queries"),
        ([[1.0] * 10] * 10 + [[1.2] * 10] * 5, "drifted by +20%"),
        ([[1.2] * 10] * 5 + [[1.0] * 10] * 10, "drifted by -20%"),
        ([[1.0] * 10, [1.4] * 10] * 6, "median known to"),
    ],
)
def test_each_rule_of_an_unstable_measurement(turns: list[list[float]], reason: str) -> None:
    (found,) = [text for text in summarise(turns, LIMITS).unstable if text.startswith(reason)]
    assert found


def test_a_drift_within_the_limit_is_stable() -> None:
    assert summarise([[1.0] * 10] * 10 + [[1.09] * 10] * 5, LIMITS).unstable == ()


def test_four_digits() -> None:
    assert [rounded(v) for v in (1234.56, 0.00012345678, 0.0)] == [1235.0, 0.0001235, 0.0]
