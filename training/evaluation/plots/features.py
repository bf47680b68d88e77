"""A map of a network's features by t-SNE (van der Maaten and Hinton 2008)."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from torch import nn

from fer_edge.arrays import F32
from training.data.split import Split
from training.evaluation.inference import module_outputs
from training.evaluation.plots.charts import save_picture

ROWS = 1500  # more points hide one another, and t-SNE takes more than linear time
PERPLEXITY = 30.0
RARE = 0.05  # share of the rows below which a class gets a large marker of its own
MARKS = "^sDPv"


def coordinates_from_features(features: F32) -> F32:
    """Two coordinates a row, float32 [n, 2].

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ImportError(
            "the feature map needs scikit-learn; pip install scikit-learn, or evaluate with --quick"
        ) from error
    # At most a third of the rows can be neighbours.
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    # The length of a feature vector is mostly confidence, its direction the class: the map shows the
    # direction.
    directions = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)
    places: F32 = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=0).fit_transform(
        directions
    )
    return places


def draw_features(module: nn.Module, split: Split, labels: Sequence[str], path: Path) -> int:
    """Draws one point a face, coloured by its label; returns how many rows are shown."""
    shown = split.sample(ROWS)
    places = coordinates_from_features(module_outputs(module, shown, module.features).numpy())
    figure, axis = plt.subplots(figsize=(7.4, 5.8), layout="constrained")
    # Rare classes last, so that the others do not cover them.
    order = np.argsort(-np.bincount(shown.labels, minlength=len(labels)), kind="stable")
    marks = cycle(MARKS)
    for k in order[np.isin(order, shown.labels)]:
        rows = shown.labels == k
        many = rows.mean() > RARE
        axis.scatter(
            *places[rows].T,
            s=9 if many else 28,
            marker="o" if many else next(marks),
            color=plt.get_cmap("tab10")(k),
            edgecolors="none" if many else "black",
            linewidths=0.5,
            alpha=0.75,
            label=f"{labels[k]} ({rows.sum()})",
        )
    axis.set_xticks([])
    axis.set_yticks([])
    figure.legend(*axis.get_legend_handles_labels(), loc="outside right upper", fontsize=9, markerscale=1.4)
    save_picture(figure, path)
    return len(shown)
