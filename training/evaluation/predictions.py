"""One network's answers to valid and test, and the figures that follow from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F64
from training.data.split import LABELS, UNKNOWN, Split
from training.evaluation import expression_metrics as metrics
from training.evaluation.abstention import threshold_figures
from training.evaluation.inference import logits_from_split
from training.evaluation.predictors import Network

Figures = dict[str, object]
SPEC_METRICS = ("accuracy", "balanced_accuracy", "calibration_error", "accuracy_on_fer2013_labels")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Logits f64 [n, C] of both splits, and two temperatures, rounded as they are shipped: by the first the
    confidence says how often the label is right, by the second the probabilities are shares of votes.
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
        """Which rows of the test split are named rightly."""
        return self.test_logits.argmax(1) == self.test.labels


def judged(network: Network, valid: Split, test: Split) -> Judgement:
    """Runs a network over both splits; the temperatures are fitted on valid."""
    valid_logits = logits_from_split(network.logits, valid, network.size)
    temperature = round(metrics.fitted_temperature(valid_logits, valid.labels), 4)
    shares = round(metrics.fitted_share_temperature(valid_logits, valid.votes), 4)
    test_logits = logits_from_split(network.logits, test, network.size)
    return Judgement(valid, test, valid_logits, test_logits, temperature, shares)


def accuracy_figures(judgement: Judgement) -> Figures:
    """What is told of every file: accuracies with their 95 % intervals, and the calibration."""
    probabilities, test = judgement.probabilities, judgement.test
    counts = metrics.confusion(probabilities, test.labels)
    accuracies, spread = metrics.accuracies(counts), metrics.intervals(counts)
    figures: Figures = {
        "accuracy": float(accuracies.accuracy),
        "accuracy_95": spread.accuracy.tolist(),
        "balanced_accuracy": float(accuracies.balanced),
        "balanced_accuracy_95": spread.balanced.tolist(),
        "calibration_error": metrics.calibration_error(probabilities, test.labels),
        "calibration_error_before": metrics.calibration_error(
            metrics.softmax(judgement.test_logits), test.labels
        ),
        "confidence_temperature": judgement.temperature,
        "share_temperature": judgement.share_temperature,
    }
    known = test.single != UNKNOWN
    if known.any():
        agrees = (probabilities.argmax(1) == test.single)[known]
        figures |= share_with_interval("accuracy_on_fer2013_labels", agrees)
    return figures


def class_figures(judgement: Judgement) -> Figures:
    """Counts, recall and precision of each expression, None where a class has no rows or was never named."""
    counts = metrics.confusion(judgement.probabilities, judgement.test.labels)
    accuracies, spread = metrics.accuracies(counts), metrics.intervals(counts)
    return {
        "counts": by_label(counts.sum(1)),
        "recall": by_label(accuracies.recall),
        "recall_95": by_label(spread.recall),
        "precision": by_label(accuracies.precision),
        "precision_95": by_label(spread.precision),
        "confusion": counts.tolist(),
    }


def other_views(network: Network, judgement: Judgement) -> Figures:
    """The test split whole and mirrored, as it comes without a detector or through a mirror."""
    test = judgement.test
    whole = logits_from_split(network.logits, test, network.size, aligned=False).argmax(1)
    mirrored = logits_from_split(network.logits, test, network.size, mirrored=True).argmax(1)
    return {
        **share_with_interval("accuracy_unaligned", whole == test.labels),
        **share_with_interval("mirror_agreement", mirrored == judgement.test_logits.argmax(1)),
        "aligned_share": float(test.found.mean()),
    }


def share_figures(judgement: Judgement) -> Figures:
    """Predicted against actual vote shares."""
    predicted = metrics.softmax(judgement.test_logits, judgement.share_temperature)
    shares = metrics.share_figures(predicted, judgement.test.votes)
    confident = metrics.share_figures(judgement.probabilities, judgement.test.votes)
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


def abstention_figures(judgement: Judgement) -> Figures:
    valid = metrics.softmax(judgement.valid_logits, judgement.temperature)
    return threshold_figures(
        {"valid": valid, "test": judgement.probabilities},
        {"valid": judgement.valid.labels, "test": judgement.test.labels},
    )


def spec_figures(accuracy: Figures, abstention: Figures) -> Figures:
    """What goes into the metadata of an exported file."""
    return {
        "temperature": accuracy["share_temperature"],
        "confidence_temperature": accuracy["confidence_temperature"],
        "min_confidence": abstention["min_confidence"],
        "metrics": {name: round(float(accuracy[name]), 4) for name in SPEC_METRICS if name in accuracy},  # type: ignore[arg-type]
    }


def file_row(network: Network, judgement: Judgement, first: Judgement) -> Figures:
    """One file's figures, and how far its answers are from the first one's."""
    accuracy = accuracy_figures(judgement)
    # Both at one temperature: what is compared is the arithmetic, not the calibration.
    apart = np.abs(metrics.softmax(judgement.test_logits, first.temperature) - first.probabilities)
    changed = judgement.test_logits.argmax(1) != first.test_logits.argmax(1)
    return {
        **{name: value for name, value in network.facts.items() if name != "settings"},
        **accuracy,
        "max_probability_difference": float(apart.max()),
        "mean_probability_difference": float(apart.mean()),
        "changed_labels": float(changed.mean()),
        "spec": spec_figures(accuracy, abstention_figures(judgement)),
    }


def share_with_interval(name: str, right: NDArray[np.bool_]) -> Figures:
    return {name: float(right.mean()), f"{name}_95": list(metrics.bootstrap_interval(right))}


def by_label(values: NDArray[np.floating] | NDArray[np.integer]) -> Figures:
    """[C] or [C, 2] by the names of the classes."""
    return dict(zip(LABELS, values.tolist(), strict=True))
