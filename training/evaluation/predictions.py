"""The predictions of one model file on valid and test, and the metrics that follow from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F64
from training.data.split import LABELS, UNKNOWN, Split
from training.evaluation import expression_metrics as metrics
from training.evaluation.abstention import threshold_metrics
from training.evaluation.inference import logits_from_split
from training.evaluation.predictors import Predictor

Metrics = dict[str, object]
SPEC_METRICS = ("accuracy", "balanced_accuracy", "calibration_error", "accuracy_on_fer2013_labels")


@dataclass(frozen=True, slots=True)
class Predictions:
    """Logits f64 [n, C] of both splits, and two temperatures, rounded as they are shipped. With
    ``temperature`` the confidence says how often the label is right; with ``share_temperature`` the
    probabilities are vote shares.
    """

    valid: Split
    test: Split
    valid_logits: F64
    test_logits: F64
    temperature: float
    share_temperature: float

    @property
    def probabilities(self) -> F64:
        """Of the test split, at the temperature of the confidence."""
        return metrics.softmax(self.test_logits, self.temperature)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which rows of the test split get the right label."""
        return self.test_logits.argmax(1) == self.test.labels


def predict_splits(predictor: Predictor, valid: Split, test: Split) -> Predictions:
    """Runs a predictor over both splits and fits the temperatures on valid."""
    valid_logits = logits_from_split(predictor.logits, valid, predictor.size)
    temperature = round(metrics.fit_confidence_temperature(valid_logits, valid.labels), 4)
    shares = round(metrics.fit_share_temperature(valid_logits, valid.votes), 4)
    test_logits = logits_from_split(predictor.logits, test, predictor.size)
    return Predictions(valid, test, valid_logits, test_logits, temperature, shares)


def accuracy_metrics(predictions: Predictions) -> Metrics:
    """Accuracies with their 95 % intervals, and the calibration."""
    probabilities, test = predictions.probabilities, predictions.test
    counts = metrics.confusion(probabilities, test.labels)
    accuracies, spread = metrics.accuracies(counts), metrics.intervals(counts)
    result: Metrics = {
        "accuracy": float(accuracies.accuracy),
        "accuracy_95": spread.accuracy.tolist(),
        "balanced_accuracy": float(accuracies.balanced),
        "balanced_accuracy_95": spread.balanced.tolist(),
        "calibration_error": metrics.calibration_error(probabilities, test.labels),
        "calibration_error_before": metrics.calibration_error(
            metrics.softmax(predictions.test_logits), test.labels
        ),
        "confidence_temperature": predictions.temperature,
        "share_temperature": predictions.share_temperature,
    }
    known = test.single != UNKNOWN
    if known.any():
        agrees = (probabilities.argmax(1) == test.single)[known]
        result |= share_with_interval("accuracy_on_fer2013_labels", agrees)
    return result


def class_metrics(predictions: Predictions) -> Metrics:
    """Count, recall and precision of each expression, NaN where a class has no rows or was never
    predicted.
    """
    counts = metrics.confusion(predictions.probabilities, predictions.test.labels)
    accuracies, spread = metrics.accuracies(counts), metrics.intervals(counts)
    return {
        "counts": by_label(counts.sum(1)),
        "recall": by_label(accuracies.recall),
        "recall_95": by_label(spread.recall),
        "precision": by_label(accuracies.precision),
        "precision_95": by_label(spread.precision),
        "confusion": counts.tolist(),
    }


def unaligned_and_mirrored(predictor: Predictor, predictions: Predictions) -> Metrics:
    """Accuracy on whole pictures, without alignment, and agreement between mirrored and plain pictures."""
    test = predictions.test
    whole = logits_from_split(predictor.logits, test, predictor.size, aligned=False).argmax(1)
    mirrored = logits_from_split(predictor.logits, test, predictor.size, mirrored=True).argmax(1)
    return {
        **share_with_interval("accuracy_unaligned", whole == test.labels),
        **share_with_interval("mirror_agreement", mirrored == predictions.test_logits.argmax(1)),
        "aligned_share": float(test.found.mean()),
    }


def vote_share_metrics(predictions: Predictions) -> Metrics:
    """Predicted against actual vote shares."""
    predicted = metrics.softmax(predictions.test_logits, predictions.share_temperature)
    shares = metrics.share_metrics(predicted, predictions.test.votes)
    confident = metrics.share_metrics(predictions.probabilities, predictions.test.votes)
    return {
        "mean_error": float(shares.error.mean()),
        "mean_error_of_confidence": float(confident.error.mean()),
        "predicted": by_label(shares.predicted),
        "actual": by_label(shares.actual),
        "error": by_label(shares.error),
        "correlation": by_label(shares.correlation),
        "curve": shares.curve,
        "curve_of_confidence": confident.curve,
    }


def abstention_metrics(predictions: Predictions) -> Metrics:
    valid = metrics.softmax(predictions.valid_logits, predictions.temperature)
    return threshold_metrics(
        {"valid": valid, "test": predictions.probabilities},
        {"valid": predictions.valid.labels, "test": predictions.test.labels},
    )


def spec_entries(accuracy: Metrics, abstention: Metrics) -> Metrics:
    """What goes into the metadata of an exported file."""
    return {
        "temperature": accuracy["share_temperature"],
        "confidence_temperature": accuracy["confidence_temperature"],
        "min_confidence": abstention["min_confidence"],
        "metrics": {name: round(float(accuracy[name]), 4) for name in SPEC_METRICS if name in accuracy},  # type: ignore[arg-type]
    }


def file_row(predictor: Predictor, predictions: Predictions, first: Predictions) -> Metrics:
    """One file's metrics, and how far its predictions are from those of the first file."""
    accuracy = accuracy_metrics(predictions)
    # Both at one temperature, so that the arithmetic is compared, not the calibration.
    apart = np.abs(metrics.softmax(predictions.test_logits, first.temperature) - first.probabilities)
    changed = predictions.test_logits.argmax(1) != first.test_logits.argmax(1)
    return {
        **{name: value for name, value in predictor.facts.items() if name != "settings"},
        **accuracy,
        "max_probability_difference": float(apart.max()),
        "mean_probability_difference": float(apart.mean()),
        "changed_labels": float(changed.mean()),
        "spec": spec_entries(accuracy, abstention_metrics(predictions)),
    }


def share_with_interval(name: str, right: NDArray[np.bool_]) -> Metrics:
    return {name: float(right.mean()), f"{name}_95": list(metrics.bootstrap_interval(right))}


def by_label(values: NDArray[np.floating] | NDArray[np.integer]) -> Metrics:
    """[C] or [C, 2] as a mapping from the names of the classes."""
    return dict(zip(LABELS, values.tolist(), strict=True))
