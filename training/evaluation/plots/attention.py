"""Maps of where a network's blocks look, drawn over faces.

The maps are the networks' own (``attention``): TAFE's response, DCIF's gate, the attention that tokens
receive. They show where a block's output is large, not what caused the label.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import nn

from fer_edge.arrays import F32, I64
from training.data.crops import MEAN, SCALE, inputs_from_split
from training.data.split import Split
from training.evaluation.plots.charts import save_picture

MEAN_ROWS = 512  # of the mean picture
EXPLAINED = {
    "tafe": "TAFE: strength of its output",
    "dcif": "DCIF: spatial gate",
    "trunk": "trunk: strength of its output",
    "tokens": "attention that positions receive",
}


@torch.no_grad()
def maps_from_split(module: nn.Module, split: Split) -> tuple[F32, I64, dict[str, F32]]:
    """Luma [n, S, S], predicted class [n], and each map resized to [n, S, S]."""
    x = torch.from_numpy(inputs_from_split(split, module.size)).to(next(module.parameters()).device)
    predicted = module(x).argmax(1).cpu().numpy()
    side = (module.size, module.size)
    maps = {
        name: np.stack(
            [cv2.resize(m, side, interpolation=cv2.INTER_LINEAR) for m in values.float().cpu().numpy()]
        )
        for name, values in module.attention(x).items()
    }
    return x[:, 0].cpu().numpy() / SCALE + MEAN, predicted, maps


def clearest_rows(split: Split) -> I64:
    """For each class that occurs, the aligned row that most annotators agree on."""
    agreement = split.votes.max(1) * split.found
    return np.array(
        [
            np.flatnonzero(split.labels == k)[agreement[split.labels == k].argmax()]
            for k in np.unique(split.labels)
        ]
    )


def draw_attention(
    module: nn.Module, split: Split, labels: Sequence[str], path: Path, mean: Path
) -> list[str]:
    """Two pictures: one face of each class with all maps, and the mean of each map over many faces, which
    shows no real person.

    Returns the names of the maps; without maps, nothing is drawn.
    """
    chosen = split.take(clearest_rows(split))
    faces, predicted, maps = maps_from_split(module, chosen)
    if not maps:
        return []
    titles = [f"{labels[k]}\n→ {labels[p]}" for k, p in zip(chosen.labels, predicted, strict=True)]
    _draw_grid(faces, maps, titles, path)
    many = (split.take(split.found) if split.found.any() else split).sample(MEAN_ROWS)
    faces, _, maps = maps_from_split(module, many)
    means = {name: values.mean(0, keepdims=True) for name, values in maps.items()}
    _draw_grid(faces.mean(0, keepdims=True), means, [f"mean of {len(many)}"], mean)
    return list(maps)


def _draw_grid(faces: F32, maps: dict[str, F32], titles: Sequence[str], path: Path) -> None:
    """A column for each face, a row for each map; each map is stretched over its own range, given below
    it.
    """
    figure, axes = plt.subplots(
        1 + len(maps),
        len(faces),
        figsize=(max(2.6, 1.45 * len(faces)), 1.75 * (1 + len(maps))),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
    for k, title in enumerate(titles):
        axes[0, k].set_title(title, fontsize=9)
        axes[0, k].imshow(faces[k], cmap="gray", vmin=0, vmax=255)
        for row, values in enumerate(maps.values(), start=1):
            axes[row, k].imshow(faces[k], cmap="gray", vmin=0, vmax=255)
            axes[row, k].imshow(values[k], cmap="inferno", alpha=0.55)
            axes[row, k].set_xlabel(f"{values[k].min():.3g} to {values[k].max():.3g}", fontsize=7)
    axes[0, 0].set_ylabel("crop", fontsize=9)
    for row, name in enumerate(maps, start=1):
        axes[row, 0].set_ylabel(EXPLAINED.get(name, name).replace(": ", ":\n"), fontsize=8)
    save_picture(figure, path)
