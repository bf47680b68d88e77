"""Figures on hand-made answers, and the protocol's rule 1 on a model that breaks it."""

import numpy as np
import pytest

from training import expression_metrics as metrics
from training.evaluate import protocol
from training.models.tkfnet_nano import SIZE


def test_accuracies_by_hand():
    probabilities = np.eye(3)[[0, 0, 1, 1, 2]]
    counts = metrics.confusion(probabilities, np.array([0, 0, 0, 1, 1]))
    accuracy, balanced, recall = metrics.accuracies(counts)
    assert counts.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert accuracy == pytest.approx(3 / 5)
    np.testing.assert_allclose(recall, [2 / 3, 1 / 2, 0])
    # The third class has no row, so it does not count.
    assert balanced == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_calibration_error_of_known_answers():
    sure = np.tile([0.9, 0.1], (10, 1))
    labels = np.array([0] * 9 + [1])
    assert metrics.calibration_error(sure, labels) == pytest.approx(0, abs=1e-12)
    assert metrics.calibration_error(sure, np.ones(10, int)) == pytest.approx(0.9)


def test_temperature_undoes_overconfidence():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 5)) * 2
    chances = metrics.softmax(logits)
    labels = (chances.cumsum(1) < rng.random((len(logits), 1))).sum(1)
    assert metrics.fitted_temperature(3 * logits, labels) == pytest.approx(3, rel=0.06)


def test_interval_holds_the_accuracy():
    low, high = metrics.bootstrap_interval(np.arange(1000) < 800)
    assert low < 0.8 < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 1000), rel=0.1)


def inputs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 8, 96)
    x = rng.normal(size=(96, 1, SIZE, SIZE)).astype(np.float32) + labels[:, None, None, None].astype(
        np.float32
    )
    return x, labels


def honest(x: np.ndarray) -> np.ndarray:
    return -np.abs(x.mean((1, 2, 3))[:, None] - np.arange(8)).astype(np.float32)


def test_protocol_passes_an_honest_model():
    result = protocol(honest, *inputs())
    assert result["alone_against_mixed"] < 1e-5
    assert result["one_class_against_mixed"] < 1e-5
    assert result["accuracy_sorted_minus_shuffled"] == 0


def test_protocol_exposes_attention_over_the_batch():
    def flawed(x: np.ndarray) -> np.ndarray:
        logits = honest(x)
        weights = metrics.softmax(logits @ logits.T)
        return weights @ logits

    result = protocol(flawed, *inputs())
    assert result["alone_against_mixed"] > 0.1
    assert result["one_class_against_mixed"] > 0.1
