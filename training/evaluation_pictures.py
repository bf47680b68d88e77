"""Confusion matrix and reliability diagram as pictures."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray


def draw_confusion(counts: NDArray[np.int64], labels: Sequence[str], path: Path) -> None:
    """Rows are the true expression; colours are shares of the row, numbers are counts."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axis = plt.subplots(figsize=(6.4, 5.6))
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axis.set_yticks(range(len(labels)), labels)
    axis.set(xlabel="predicted", ylabel="majority of the votes")
    for (row, column), count in np.ndenumerate(counts):
        axis.text(
            column,
            row,
            str(count),
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.5 else "black",
        )
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_reliability(bins: Sequence[tuple[float, float, float]], path: Path) -> None:
    """Accuracy against confidence; the bars below show where the rows are."""
    share, confidence, right = np.array(bins).T
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(5, 5.6), height_ratios=[3, 1], sharex=True)
    top.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect")
    top.plot(confidence, right, marker="o", label="measured")
    top.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    top.legend()
    bottom.bar(confidence, share, width=0.05)
    bottom.set(xlabel="confidence", ylabel="share of rows")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
