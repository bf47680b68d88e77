"""Figures of an expression classifier on labelled rows; every one is a function of probabilities [n, C] and
labels [n].
"""

import numpy as np
from numpy.typing import NDArray

F = NDArray[np.float64]
BINS = (
    15  # of equal width, the usual choice since Guo et al., "On Calibration of Modern Neural Networks" (2017)
)


def softmax(logits: F, temperature: float = 1.0) -> F:
    """Logits [n, C] to probabilities."""
    scaled = logits / temperature
    shares = np.exp(scaled - scaled.max(1, keepdims=True))
    result: F = shares / shares.sum(1, keepdims=True)
    return result


def cross_entropy(logits: F, votes: F, temperature: float = 1.0) -> float:
    """Mean cross-entropy with vote shares [n, C]."""
    return float(-(votes * np.log(np.maximum(softmax(logits, temperature), 1e-12))).sum(1).mean())


def fitted_temperature(logits: F, labels: NDArray[np.int64]) -> float:
    """The temperature with the least expected calibration error, ties by likelihood, from 0.3 to 3 in steps
    of 1 %.

    Least cross-entropy with the votes would calibrate the shares of all eight; what is promised to a user who
    reads ``confidence`` is how often the label is right, and for that the calibration error itself is the
    measure.
    """
    hot = np.eye(logits.shape[1])[labels]
    candidates = np.exp(np.arange(np.log(0.3), np.log(3), 0.01))
    errors = [
        (round(calibration_error(softmax(logits, t), labels), 3), cross_entropy(logits, hot, t))
        for t in candidates
    ]
    return float(candidates[min(range(len(candidates)), key=errors.__getitem__)])


def calibration_error(probabilities: F, labels: NDArray[np.int64]) -> float:
    """Expected calibration error: mean distance between confidence and accuracy over bins of confidence."""
    return float(
        sum(n * abs(confidence - right) for n, confidence, right in reliability(probabilities, labels))
    )


def reliability(probabilities: F, labels: NDArray[np.int64]) -> list[tuple[float, float, float]]:
    """For each bin that is not empty: share of rows, mean confidence, accuracy."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        (float((bins == b).mean()), float(confidence[bins == b].mean()), float(right[bins == b].mean()))
        for b in np.unique(bins)
    ]


def confusion(probabilities: F, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts [true, predicted]."""
    classes = probabilities.shape[1]
    flat = np.bincount(labels * classes + probabilities.argmax(1), minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def accuracies(counts: NDArray[np.int64]) -> tuple[float, float, F]:
    """Accuracy, balanced accuracy (mean of the recalls of classes that occur), recall of each class [C]."""
    recall = np.diag(counts) / np.maximum(counts.sum(1), 1)
    return float(np.trace(counts) / counts.sum()), float(recall[counts.sum(1) > 0].mean()), recall


def bootstrap_interval(right: NDArray[np.bool_], rounds: int = 2000, seed: int = 0) -> tuple[float, float]:
    """The central 95 % of the accuracy over resampled rows."""
    rng = np.random.default_rng(seed)
    # Resampling n right-or-wrong rows with replacement is a binomial draw.
    draws = rng.binomial(len(right), right.mean(), rounds) / len(right)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)
