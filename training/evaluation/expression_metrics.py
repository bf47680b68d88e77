"""Metrics of an expression classifier on labelled rows, as functions of probabilities [n, C] and labels [n],
or of the confusion counts [true, predicted].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F64, I64

# Of equal width, as usual since Guo et al., "On Calibration of Modern Neural Networks" (2017).
BINS = 15
ROUNDS = 2000  # of the bootstrap: the ends of an interval then vary by about a tenth of its width
CENTRAL = (0.025, 0.975)
TEMPERATURES = np.exp(np.arange(np.log(0.3), np.log(3), 0.01))  # candidates for a fitted temperature


def softmax(logits: F64, temperature: float = 1.0) -> F64:
    """Logits [n, C] to probabilities."""
    # The largest logit is subtracted first: with a low temperature, exp() would overflow.
    scaled = (logits - logits.max(1, keepdims=True)) / temperature
    shares = np.exp(scaled)
    result: F64 = shares / shares.sum(1, keepdims=True)
    return result


def cross_entropy(logits: F64, votes: F64, temperature: float = 1.0) -> float:
    """Mean cross-entropy with vote shares [n, C]."""
    return float(-(votes * np.log(np.maximum(softmax(logits, temperature), 1e-12))).sum(1).mean())


def fit_confidence_temperature(logits: F64, labels: I64) -> float:
    """The temperature of the confidence: minimal expected calibration error, then minimal cross-entropy.

    ``confidence`` promises how often the label is right, which is what the calibration error measures.
    """
    hot = np.eye(logits.shape[1])[labels]
    errors = [
        (round(calibration_error(softmax(logits, t), labels), 3), cross_entropy(logits, hot, t))
        for t in TEMPERATURES
    ]
    return float(TEMPERATURES[min(range(len(errors)), key=errors.__getitem__)])


def fit_share_temperature(logits: F64, votes: F64) -> float:
    """The temperature of the probabilities: minimal cross-entropy with the vote shares."""
    errors = [cross_entropy(logits, votes, t) for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(errors))])


def calibration_error(probabilities: F64, labels: I64) -> float:
    """Expected calibration error: mean distance between confidence and accuracy over bins of confidence."""
    return float(
        sum(n * abs(confidence - right) for n, confidence, right in reliability(probabilities, labels))
    )


def reliability(probabilities: F64, labels: I64) -> list[tuple[float, float, float]]:
    """For each bin that is not empty: share of rows, mean confidence, accuracy."""
    return binned(probabilities.max(1), (probabilities.argmax(1) == labels).astype(np.float64))


def binned(predicted: F64, actual: F64) -> list[tuple[float, float, float]]:
    """For each bin of ``predicted`` in [0, 1] that is not empty: share of the values, both means."""
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    return [
        (float((bins == b).mean()), float(predicted[bins == b].mean()), float(actual[bins == b].mean()))
        for b in np.unique(bins)
    ]


def confusion(probabilities: F64, labels: I64) -> I64:
    """Counts [true, predicted]."""
    classes = probabilities.shape[1]
    flat = np.bincount(labels * classes + probabilities.argmax(1), minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Accuracies:
    """From counts [..., true, predicted]: each metric has the counts' leading shape.

    ``balanced`` is the mean recall of the classes that occur; ``recall`` [..., C] is NaN for a class without
    rows, ``precision`` [..., C] for one that was never predicted.
    """

    accuracy: F64
    balanced: F64
    recall: F64
    precision: F64


def accuracies(counts: I64) -> Accuracies:
    right = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    rows, predicted = counts.sum(-1), counts.sum(-2)
    recall = np.where(rows > 0, right / np.maximum(rows, 1), np.nan)
    precision = np.where(predicted > 0, right / np.maximum(predicted, 1), np.nan)
    balanced = np.nansum(recall, -1) / np.maximum((rows > 0).sum(-1), 1)
    return Accuracies(right.sum(-1) / rows.sum(-1), balanced, recall, precision)


def intervals(counts: I64, rounds: int = ROUNDS, seed: int = 0) -> Accuracies:
    """The central 95 % of every accuracy over resampled rows: each metric gets a last axis of low and high.

    Drawing n rows with replacement is drawing n times from the cells of the counts, so the counts suffice.
    Where a draw has no row of a class, it does not count for that class.
    """
    shares = counts.ravel() / counts.sum()
    draws = np.random.default_rng(seed).multinomial(int(counts.sum()), shares, rounds)
    drawn = accuracies(draws.reshape(rounds, *counts.shape))
    return Accuracies(
        *(_central(values) for values in (drawn.accuracy, drawn.balanced, drawn.recall, drawn.precision))
    )


def _central(values: F64) -> F64:
    """[rounds, ...] to [..., 2]; NaN where no round has a value."""
    columns = values.reshape(len(values), -1)
    ends = np.full((columns.shape[1], 2), np.nan)
    for end, column in zip(ends, columns.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known):
            end[:] = np.quantile(known, CENTRAL)
    return ends.reshape(*values.shape[1:], 2)


def bootstrap_interval(right: NDArray[np.bool_], rounds: int = ROUNDS, seed: int = 0) -> tuple[float, float]:
    """The central 95 % of a share of rows over resampled rows."""
    rng = np.random.default_rng(seed)
    # Resampling n right-or-wrong rows with replacement is a binomial draw.
    draws = rng.binomial(len(right), right.mean(), rounds) / len(right)
    low, high = np.quantile(draws, CENTRAL)
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class ShareMetrics:
    """Predicted against actual vote shares; the first four are [C], ``correlation`` NaN for a constant."""

    predicted: F64
    actual: F64
    error: F64
    correlation: F64
    curve: list[tuple[float, float, float]]


def share_metrics(probabilities: F64, votes: F64) -> ShareMetrics:
    """Means, mean absolute error and correlation of each class's share, and the actual share by bins of the
    predicted share, over all rows and classes.
    """
    votes = votes.astype(np.float64)
    mine, theirs = probabilities - probabilities.mean(0), votes - votes.mean(0)
    spread = np.sqrt((mine**2).sum(0) * (theirs**2).sum(0))
    correlation = np.where(spread > 0, (mine * theirs).sum(0) / np.where(spread > 0, spread, 1), np.nan)
    return ShareMetrics(
        probabilities.mean(0),
        votes.mean(0),
        np.abs(probabilities - votes).mean(0),
        correlation,
        binned(probabilities.ravel(), votes.ravel()),
    )


def min_confidence_for_accuracy(right: NDArray[np.bool_], confidence: F64, wanted: float) -> float:
    """The lowest confidence threshold at which the accepted labels reach the wanted accuracy: 0 when all may
    be accepted, 1 when none.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    accuracy = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # A threshold cannot separate rows with the same confidence.
    last_of_equals = np.append(ranked[1:] < ranked[:-1], True)
    reached = np.flatnonzero((accuracy >= wanted) & last_of_equals)
    if not len(reached):
        return 1.0
    return 0.0 if reached[-1] == len(order) - 1 else float(ranked[reached[-1]])


def risk_coverage(right: NDArray[np.bool_], confidence: F64) -> tuple[F64, F64]:
    """Coverage [n] and accuracy [n] of the accepted rows, from the most confident row alone to all rows
    (El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", 2010; risk = 1 -
    accuracy).
    """
    order = np.argsort(-confidence, kind="stable")
    count = np.arange(1, len(order) + 1)
    return count / len(order), np.cumsum(right[order]) / count


def difference_interval(difference: I64, rounds: int = ROUNDS, seed: int = 0) -> tuple[float, float]:
    """The central 95 % of the mean of paired differences -1, 0, 1 over resampled rows."""
    shares = np.bincount(difference + 1, minlength=3) / len(difference)
    draws = np.random.default_rng(seed).multinomial(len(difference), shares, rounds)
    low, high = np.quantile((draws[:, 2] - draws[:, 0]) / len(difference), CENTRAL)
    return float(low), float(high)
