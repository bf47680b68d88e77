"""Where the runtime should abstain: accuracy against confidence, and against the runtime's own measures of
how well a face can be read (``fer_edge.abstain``).
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fer_edge import abstain
from fer_edge.arrays import F64, I64
from training.data.crops import inputs_from_split
from training.data.split import Split
from training.evaluation import expression_metrics as metrics
from training.evaluation.distortions import Scene, blurred, eye_distances, inputs_from_scene, shrunk
from training.evaluation.predictors import Network
from training.evaluation.robustness import logits_from_scene

WANTED_ACCURACY = 0.9  # of the labels that are not abstained from
CONFIDENCES = tuple(np.arange(20, 96, 5) / 100)
EYE_DISTANCES = (4, 6, 8, 10, 12, 14, 16)  # px
BLURS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)  # standard deviation in px of a picture of 48 px
TURNS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, np.inf)

Row = dict[str, object]


def kept(right: NDArray[np.bool_], confidence: F64, least: float) -> dict[str, object]:
    """Coverage and accuracy of the rows from a confidence on; an accuracy of None where none are left."""
    chosen = right[confidence >= least]
    nothing: Row = {"accuracy": None, "accuracy_95": None}
    return {"coverage": len(chosen) / len(right), **(accuracy_of(chosen) if len(chosen) else nothing)}


def threshold_figures(probabilities: dict[str, F64], labels: dict[str, I64]) -> dict[str, object]:
    """The threshold that reaches the wanted accuracy on valid, and what it and others give on valid and test.

    Both dictionaries have the keys valid and test; probabilities [n, C], labels [n].
    """
    right = {name: p.argmax(1) == labels[name] for name, p in probabilities.items()}
    confidence = {name: p.max(1) for name, p in probabilities.items()}
    # Rounded up, as it is shipped: rounded down it would let in rows that the wanted accuracy leaves out.
    least = np.ceil(metrics.confidence_for(right["valid"], confidence["valid"], WANTED_ACCURACY) * 1e4) / 1e4
    rows = []
    for level in CONFIDENCES:
        row: dict[str, object] = {"min_confidence": level}
        for name in probabilities:
            figures = kept(right[name], confidence[name], level)
            row |= {f"{name}_{figure}": value for figure, value in figures.items()}
        rows.append(row)
    return {
        "wanted_accuracy": WANTED_ACCURACY,
        "min_confidence": float(least),
        **{name: kept(right[name], confidence[name], least) for name in probabilities},
        "risk_coverage_area": {
            name: float(1 - metrics.risk_coverage(right[name], confidence[name])[1].mean())
            for name in probabilities
        },
        "by_confidence": rows,
    }


def by_turn(right: NDArray[np.bool_], split: Split, size: int) -> list[Row]:
    """Accuracy by the turn of the head, of the rows with landmarks; nothing where there are none."""
    if not split.found.any():
        return []
    found = split.take(split.found)
    _, turn, _ = abstain.measure(found.landmarks, inputs_from_split(found, size))
    right = right[split.found]
    rows = []
    for low, high in pairwise(TURNS):
        which = (turn >= low) & (turn < high)
        if which.any():
            rows.append({"turn_from": low, "rows": int(which.sum()), **accuracy_of(right[which])})
    return rows


def by_eye_distance(network: Network, split: Split) -> list[Row]:
    """Accuracy with every picture shrunk until the eyes are so far apart, of the rows with landmarks; nothing
    where there are none.
    """
    if not split.found.any():
        return []
    found = split.take(split.found)
    rows = []
    for distance in tqdm(EYE_DISTANCES, desc="eye distances", unit="level"):
        scene = shrunk(found, network.size, distance / eye_distances(found))
        rows.append({"eye_px": distance, **accuracy_of(right_in_scene(network, scene, found))})
    return rows


def by_blur(network: Network, split: Split) -> list[Row]:
    """Accuracy with blurred pictures, and quantiles of the sharpness that the runtime measures."""
    rows = []
    for sigma in tqdm(BLURS, desc="blurs", unit="level"):
        scene = blurred(split, network.size, sigma)
        _, _, sharpness = abstain.measure(split.landmarks[:, :0], inputs_from_scene(scene, network.size))
        low, middle, high = (float(q) for q in np.quantile(sharpness, (0.05, 0.5, 0.95)))
        accuracy = accuracy_of(right_in_scene(network, scene, split))
        rows.append({"blur": sigma, **accuracy, "p5": low, "median": middle, "p95": high})
    return rows


def right_in_scene(network: Network, scene: Scene, split: Split) -> NDArray[np.bool_]:
    """Which rows of a distorted split are named rightly."""
    right: NDArray[np.bool_] = logits_from_scene(network, scene).argmax(1) == split.labels
    return right


def accuracy_of(right: NDArray[np.bool_]) -> Row:
    """Accuracy and its 95 % interval."""
    return {"accuracy": float(right.mean()), "accuracy_95": list(metrics.bootstrap_interval(right))}
