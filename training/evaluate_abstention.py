"""Measures where the runtime should abstain: ``python -m training.evaluate_abstention MODEL.onnx
runs/ferplus``.

On the validation split, through the runtime's own measures (``fer_edge.abstain``): accuracy against
confidence, eye distance (pictures made smaller), sharpness (pictures blurred) and turn (as found). Prints one
table each.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_edge import abstain, models
from training.evaluate import Network, inputs_from_split, logits_from_inputs, network_from_file
from training.expression_metrics import softmax
from training.ferplus import SIDE, Split, load_prepared

WANTED_ACCURACY = 0.9  # of the labels that are not abstained from
CONFIDENCES = np.arange(0.2, 0.8, 0.05)
EYE_DISTANCES = (4, 6, 8, 10, 12, 14, 16)  # px
BLURS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)  # standard deviation in px of a 48 px picture
TURNS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, np.inf)

Row = dict[str, float]


def right_labels(
    network: Network, split: Split, temperature: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which rows are read rightly, and with what confidence."""
    probabilities = softmax(logits_from_inputs(network, inputs_from_split(split)), temperature)
    return probabilities.argmax(1) == split.labels, probabilities.max(1)


def by_confidence(right: NDArray[np.bool_], confidence: NDArray[np.float64]) -> list[Row]:
    """Coverage and accuracy of what is kept."""
    return [
        {
            "min_confidence": round(float(least), 2),
            "coverage": float((confidence >= least).mean()),
            "accuracy": float(right[confidence >= least].mean()),
        }
        for least in CONFIDENCES
    ]


def confidence_for(right: NDArray[np.bool_], confidence: NDArray[np.float64], wanted: float) -> float:
    """The least confidence from which the kept labels reach the wanted accuracy."""
    order = np.argsort(-confidence)
    accuracy = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    return float(confidence[order][np.flatnonzero(accuracy >= wanted).max()])


def resized(split: Split, eye_px: float) -> Split:
    """Every aligned picture shrunk until its eyes are ``eye_px`` apart, then brought back to its size."""
    images = split.images.copy()
    eyes = np.linalg.norm(split.landmarks[:, 1] - split.landmarks[:, 0], axis=1)
    for image, distance in zip(images, eyes, strict=True):
        side = max(2, round(SIDE * eye_px / distance))
        if side < SIDE:
            small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            image[:] = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return replace(split, images=images)


def blurred(split: Split, sigma: float) -> Split:
    images = split.images.copy()
    if sigma:
        for image in images:
            image[:] = cv2.GaussianBlur(image, (0, 0), sigma)
    return replace(split, images=images)


def by_size(network: Network, split: Split) -> list[Row]:
    return [
        {"eye_px": px, "accuracy": float(right_labels(network, resized(split, px), 1.0)[0].mean())}
        for px in EYE_DISTANCES
    ]


def by_blur(network: Network, split: Split) -> list[Row]:
    rows = []
    for sigma in BLURS:
        worse = blurred(split, sigma)
        _, _, sharpness = abstain.measure(worse.landmarks, inputs_from_split(worse))
        low, middle, high = np.quantile(sharpness, (0.05, 0.5, 0.95))
        right, _ = right_labels(network, worse, 1.0)
        accuracy = float(right.mean())
        rows.append({"blur": sigma, "accuracy": accuracy, "p5": low, "median": middle, "p95": high})
    return rows


def by_turn(right: NDArray[np.bool_], split: Split) -> list[Row]:
    _, turn, _ = abstain.measure(split.landmarks, inputs_from_split(split))
    rows = []
    for low, high in pairwise(TURNS):
        which = (turn >= low) & (turn < high)
        if which.any():
            rows.append({"turn_from": low, "rows": int(which.sum()), "accuracy": float(right[which].mean())})
    return rows


def table(rows: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(rows[0]) + " |", "| --- " * len(rows[0]) + "|"]
    lines += ["| " + " | ".join(f"{value:.4g}" for value in row.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="ONNX file of the expression network")
    parser.add_argument("data", type=Path, help="folder that training.prepare_ferplus wrote")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    spec, network = models.load(args.model, "expression").spec, network_from_file(args.model)
    valid = load_prepared(args.data, "valid")
    aligned = valid.take(valid.found)
    right, confidence = right_labels(network, valid, spec.temperature)
    tables = {
        "confidence": by_confidence(right, confidence),
        "size": by_size(network, aligned),
        "blur": by_blur(network, aligned),
        "turn": by_turn(right[valid.found], aligned),
    }
    for name, rows in tables.items():
        print(f"\n{name}\n\n{table(rows)}")
    least = confidence_for(right, confidence, WANTED_ACCURACY)
    coverage = float((confidence >= least).mean())
    print(f"{WANTED_ACCURACY:.0%} accuracy from a confidence of {least:.3f} on: {coverage:.1%} of the rows")
    if args.json:
        args.json.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
