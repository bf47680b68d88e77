"""Charts of an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from fer_edge.arrays import F64, I64

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

Curve = tuple[F64, F64]
DPI = 110


def save_picture(figure: Figure, path: Path) -> None:
    """Writes a PNG and frees the figure."""
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def draw_confusion(counts: I64, labels: Sequence[str], path: Path) -> None:
    """Rows are the true expression; colours are shares of the row, numbers are counts."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axis = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axis.set_yticks(range(len(labels)), labels)
    axis.set(xlabel="predicted", ylabel="majority of the votes")
    figure.colorbar(image, ax=axis, label="share of the row", shrink=0.8)
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, str(count), ha="center", va="center", color=color)
    save_picture(figure, path)


def draw_reliability(bins: Sequence[tuple[float, float, float]], path: Path) -> None:
    """Accuracy against confidence; the bars below show the share of rows."""
    share, confidence, right = np.array(bins).T
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(5, 5.6), height_ratios=[3, 1], sharex=True, layout="constrained"
    )
    top.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect")
    top.plot(confidence, right, marker="o", label="measured")
    top.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    top.grid(alpha=0.3)
    top.legend()
    bottom.bar(confidence, share, width=0.05)
    bottom.set(xlabel="confidence", ylabel="share of rows")
    save_picture(figure, path)


def draw_vote_shares(shares: Mapping[str, Any], labels: Sequence[str], path: Path) -> None:
    """Left: the actual share against the predicted, over all rows and classes; right: each class's mean."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained", width_ratios=[4, 6])
    left.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect")
    # The confidence is fitted to how often the label is right, not to vote shares.
    for name, style, words in (
        ("curve", "o-", "probabilities"),
        ("curve_of_confidence", ".:", "at the temperature of the confidence"),
    ):
        _, predicted, actual = np.array(shares[name]).T
        left.plot(predicted, actual, style, label=words)
    left.set(xlabel="predicted share", ylabel="share of the annotators", xlim=(0, 1), ylim=(0, 1))
    left.grid(alpha=0.3)
    left.legend()
    place = np.arange(len(labels))
    for offset, name in ((-0.2, "predicted"), (0.2, "actual")):
        bars = right.bar(place + offset, [100 * shares[name][label] for label in labels], 0.4, label=name)
        right.bar_label(bars, fmt="{:.1f}", fontsize=7, padding=2)
    right.set_xticks(place, labels, rotation=30, ha="right")
    right.set(ylabel="mean share of the votes, %")
    right.legend()
    save_picture(figure, path)


def draw_risk_coverage(
    curves: Mapping[str, Curve], marks: Mapping[str, tuple[float, float | None]], path: Path
) -> None:
    """Accuracy against coverage; ``marks`` are the points at the threshold, with an accuracy of None where it
    accepts no row.
    """
    figure, axis = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
    for color, (name, (coverage, accuracy)) in zip(("C0", "C1"), curves.items(), strict=True):
        # The accuracy of the first few rows is mostly noise.
        shown = np.arange(len(coverage)) >= min(len(coverage) - 1, max(20, len(coverage) // 50))
        axis.plot(coverage[shown], accuracy[shown], color=color, label=name)
        if marks[name][1] is not None:
            axis.plot(*marks[name], "o", color=color)
    axis.set(xlabel="coverage: share of rows with a label", ylabel="accuracy of these labels", xlim=(0, 1))
    axis.plot([], [], "o", color="grey", label="at the threshold")
    axis.grid(alpha=0.3)
    axis.legend()
    save_picture(figure, path)


def draw_robustness(curves: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A panel for each distortion: accuracy with its interval, and balanced accuracy."""
    columns = 4
    rows = -(-len(curves) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.7 * columns, 3.3 * rows), sharey=True, squeeze=False, layout="constrained"
    )
    for axis in axes.ravel()[len(curves) :]:
        axis.axis("off")
    for axis, (name, curve) in zip(axes.ravel(), curves.items(), strict=False):
        for color, (case, levels) in zip(("C0", "C1"), curve["cases"].items(), strict=False):
            level = [row["level"] for row in levels]
            low, high = np.array([row["accuracy_95"] for row in levels]).T
            axis.fill_between(level, low, high, color=color, alpha=0.2, linewidth=0)
            axis.plot(level, [row["accuracy"] for row in levels], "o-", color=color, markersize=3, label=case)
            axis.plot(level, [row["balanced_accuracy"] for row in levels], "--", color=color, linewidth=1)
        if curve["plain"] is not None:
            axis.axvline(curve["plain"], color="grey", linewidth=0.8, linestyle=":")
        axis.set(title=name, xlabel=curve["unit"], ylim=(0, 1))
        axis.grid(alpha=0.3)
        if len(curve["cases"]) > 1:
            axis.legend(fontsize=8, loc="lower center")
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy (dashed: balanced)")
    save_picture(figure, path)
