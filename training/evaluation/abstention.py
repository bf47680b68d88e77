"""When the runtime should abstain: accuracy against confidence, head turn, eye distance and blur, as the
runtime measures them (``fer_edge.stages.abstain``).
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fer_edge.arrays import F32, F64, I64
from fer_edge.stages import abstain
from training.data.crops import inputs_from_split
from training.data.split import Split
from training.evaluation import expression_metrics as metrics
from training.evaluation.distortions import Scene, blurred, crops_from_scene, eye_distances, shrunk
from training.evaluation.predictors import Predictor
from training.evaluation.robustness import logits_from_scene

TARGET_ACCURACY = 0.9  # of the labels that are given
CONFIDENCES = tuple(np.arange(20, 96, 5) / 100)
EYE_DISTANCES = (4, 6, 8, 10, 12, 14, 16)  # px
BLURS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)  # standard deviation in px of a picture of 48 px
TURNS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, np.inf)

Row = dict[str, object]


def coverage_and_accuracy(right: NDArray[np.bool_], confidence: F64, min_confidence: float) -> Row:
    """Coverage and accuracy of the rows with at least this confidence; the accuracy is None if there are
    none.
    """
    chosen = right[confidence >= min_confidence]
    nothing: Row = {"accuracy": None, "accuracy_95": None}
    return {"coverage": len(chosen) / len(right), **(accuracy_of(chosen) if len(chosen) else nothing)}


def threshold_metrics(probabilities: dict[str, F64], labels: dict[str, I64]) -> Row:
    """The threshold that reaches the target accuracy on valid, and the results of it and of others on valid
    and test.

    Both dictionaries have the keys valid and test; probabilities [n, C], labels [n].
    """
    right = {name: p.argmax(1) == labels[name] for name, p in probabilities.items()}
    confidence = {name: p.max(1) for name, p in probabilities.items()}
    # Rounded up, as it is shipped: rounded down, it would admit rows below the target accuracy.
    threshold = metrics.min_confidence_for_accuracy(right["valid"], confidence["valid"], TARGET_ACCURACY)
    min_confidence = np.ceil(threshold * 1e4) / 1e4
    rows = []
    for level in CONFIDENCES:
        row: dict[str, object] = {"min_confidence": level}
        for name in probabilities:
            result = coverage_and_accuracy(right[name], confidence[name], level)
            row |= {f"{name}_{figure}": value for figure, value in result.items()}
        rows.append(row)
    return {
        "target_accuracy": TARGET_ACCURACY,
        "min_confidence": float(min_confidence),
        **{
            name: coverage_and_accuracy(right[name], confidence[name], min_confidence)
            for name in probabilities
        },
        "risk_coverage_area": {
            name: float(1 - metrics.risk_coverage(right[name], confidence[name])[1].mean())
            for name in probabilities
        },
        "by_confidence": rows,
    }


def by_turn(right: NDArray[np.bool_], split: Split, size: int) -> list[Row]:
    """Accuracy by the turn of the head, over the rows with landmarks; empty if there are none."""
    if not split.found.any():
        return []
    found = split.take(split.found)
    turn = _measures(found.landmarks, inputs_from_split(found, size)).turn
    right = right[split.found]
    rows = []
    for low, high in pairwise(TURNS):
        which = (turn >= low) & (turn < high)
        if which.any():
            rows.append({"turn_from": low, "rows": int(which.sum()), **accuracy_of(right[which])})
    return rows


def by_eye_distance(predictor: Predictor, split: Split) -> list[Row]:
    """Accuracy with every picture shrunk to an eye distance, over the rows whose eyes are so far apart; none
    is enlarged.
    """
    rows = []
    for distance in tqdm(EYE_DISTANCES, desc="eye distances", unit="level"):
        # NaN, where no face was found, is no large distance.
        large = split.take(eye_distances(split) >= distance)
        if not len(large):
            continue
        scene = shrunk(large, predictor.size, distance / eye_distances(large))
        right = right_in_scene(predictor, scene, large)
        rows.append({"eye_px": distance, "rows": len(large), **accuracy_of(right)})
    return rows


def by_blur(predictor: Predictor, split: Split) -> list[Row]:
    """Accuracy with blurred pictures, and quantiles of the sharpness that the runtime measures."""
    rows = []
    for sigma in tqdm(BLURS, desc="blurs", unit="level"):
        scene = blurred(split, predictor.size, sigma)
        sharpness = _measures(split.landmarks[:, :0], crops_from_scene(scene, predictor.size)).sharpness
        low, middle, high = (float(q) for q in np.quantile(sharpness, (0.05, 0.5, 0.95)))
        accuracy = accuracy_of(right_in_scene(predictor, scene, split))
        rows.append({"blur": sigma, **accuracy, "p5": low, "median": middle, "p95": high})
    return rows


def _measures(landmarks: F32, luma: F32) -> abstain.Measures:
    """What the runtime measures of crops, luma [n, 1, S, S], without a frame around them."""
    outside = np.full(len(luma), np.nan, np.float32)
    return abstain.measure(landmarks, outside, luma, mean=0, scale=1)


def right_in_scene(predictor: Predictor, scene: Scene, split: Split) -> NDArray[np.bool_]:
    """Which rows of a distorted split get the right label."""
    right: NDArray[np.bool_] = logits_from_scene(predictor, scene).argmax(1) == split.labels
    return right


def accuracy_of(right: NDArray[np.bool_]) -> Row:
    """Accuracy and its 95 % interval."""
    return {"accuracy": float(right.mean()), "accuracy_95": list(metrics.bootstrap_interval(right))}
