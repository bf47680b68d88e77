"""Metrics on predictions made by hand."""

import numpy as np
import pytest

from training.evaluation import expression_metrics as metrics


def test_accuracies_by_hand():
    probabilities = np.eye(4)[[0, 0, 1, 1, 2]]
    counts = metrics.confusion(probabilities, np.array([0, 0, 0, 1, 1]))
    assert counts.tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    figures = metrics.accuracies(counts)
    assert figures.accuracy == pytest.approx(3 / 5)
    np.testing.assert_allclose(figures.recall, [2 / 3, 1 / 2, np.nan, np.nan])
    np.testing.assert_allclose(figures.precision, [1, 1 / 2, 0, np.nan])
    # The third and fourth class have no row, so they do not count.
    assert figures.balanced == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_intervals_are_those_of_resampled_rows():
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 400, p=[0.7, 0.25, 0.05])
    answers = np.where(rng.random(400) < 0.8, labels, rng.integers(0, 3, 400))
    fast = metrics.intervals(metrics.confusion(np.eye(3)[answers], labels))
    draws = [rng.integers(0, 400, 400) for _ in range(1500)]
    rows = [metrics.accuracies(metrics.confusion(np.eye(3)[answers[d]], labels[d])) for d in draws]
    for name in ("accuracy", "balanced", "recall", "precision"):
        slow = np.quantile([getattr(row, name) for row in rows], metrics.CENTRAL, axis=0)
        np.testing.assert_allclose(getattr(fast, name), np.moveaxis(slow, 0, -1), atol=0.03)


def test_a_class_without_rows_has_no_interval():
    spread = metrics.intervals(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    assert np.isnan(spread.recall[2]).all()
    assert np.isfinite(spread.recall[:2]).all()
    assert np.isfinite(spread.balanced).all()


def test_calibration_error_of_known_answers():
    sure = np.tile([0.9, 0.1], (10, 1))
    labels = np.array([0] * 9 + [1])
    assert metrics.calibration_error(sure, labels) == pytest.approx(0, abs=1e-12)
    assert metrics.calibration_error(sure, np.ones(10, int)) == pytest.approx(0.9)


@pytest.mark.slow
def test_temperature_undoes_overconfidence():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 5)) * 2
    chances = metrics.softmax(logits)
    labels = (chances.cumsum(1) < rng.random((len(logits), 1))).sum(1)
    assert metrics.fit_confidence_temperature(3 * logits, labels) == pytest.approx(3, rel=0.06)
    # With the true shares, not one label drawn from each.
    assert metrics.fit_share_temperature(2 * logits, chances) == pytest.approx(2, rel=0.01)


def test_softmax_of_large_logits():
    np.testing.assert_allclose(metrics.softmax(np.array([[900.0, 900.0, -900.0]]), 0.3), [[0.5, 0.5, 0]])


def test_interval_holds_the_accuracy():
    low, high = metrics.bootstrap_interval(np.arange(1000) < 800)
    assert low < 0.8 < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 1000), rel=0.1)


def test_interval_of_paired_differences():
    low, high = metrics.difference_interval(np.array([1] * 40 + [-1] * 10 + [0] * 950))
    assert low < 0.03 < high
    # In paired differences, the 950 rows that agree add nothing to the spread.
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt((0.05 - 0.03**2) / 1000), rel=0.1)
    assert metrics.difference_interval(np.zeros(10, int)) == (0, 0)


def test_vote_shares_by_hand():
    predicted = np.array([[0.8, 0.2, 0.0], [0.4, 0.6, 0.0]])
    votes = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], np.float32)
    figures = metrics.share_metrics(predicted, votes)
    np.testing.assert_allclose(figures.predicted, [0.6, 0.4, 0])
    np.testing.assert_allclose(figures.actual, [0.75, 0.25, 0])
    np.testing.assert_allclose(figures.error, [0.15, 0.15, 0])
    np.testing.assert_allclose(figures.correlation, [1, 1, np.nan])
    assert sum(share for share, _, _ in figures.curve) == pytest.approx(1)


def test_threshold_keeps_as_many_as_it_can():
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    right = np.array([True, False, True, True, False])
    # 1/1, 1/2, 2/3, 3/4, 3/5: a low accuracy in between does not end the search.
    assert metrics.min_confidence_for_accuracy(right, confidence, 0.7) == 0.6
    assert metrics.min_confidence_for_accuracy(right, confidence, 0.6) == 0.0
    assert metrics.min_confidence_for_accuracy(~right, confidence, 0.9) == 1.0


def test_threshold_cannot_part_equals():
    confidence = np.array([0.9, 0.7, 0.7, 0.7])
    right = np.array([True, True, False, False])
    assert metrics.min_confidence_for_accuracy(right, confidence, 0.9) == 0.9


def test_risk_coverage_ends_at_the_accuracy():
    coverage, accuracy = metrics.risk_coverage(np.array([False, True, True]), np.array([0.1, 0.9, 0.5]))
    np.testing.assert_allclose(coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(accuracy, [1, 1, 2 / 3])
