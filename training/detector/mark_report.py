"""How noisy the detectors are and how the marks came about, in Markdown."""

import numpy as np

from fer_edge.arrays import F32, F64
from training.detector.marks import DETECTORS, OLD, Groups, certain, differences
from training.detector.photos import TRUE_SCORE
from training.evaluation.markdown import table

NAMES = (*DETECTORS, "old mark")
SIZES = ((0, 12), (12, 24), (24, 48), (48, np.inf))  # px, smaller side of the box


def noise_report(groups: Groups, variance: F64) -> str:
    """The pairs' differences and each one's noise in Markdown."""
    rows = [
        {
            "pair": f"{NAMES[a]}, {NAMES[b]}",
            "faces": f"{len(box)}",
            "box corners, median": f"{np.median(box):.1%}",
            "landmarks, median": f"{np.median(points):.1%}",
            "landmarks, 90th percentile": f"{np.quantile(points, 0.9):.1%}",
        }
        for (a, b), (box, points) in differences(groups).items()
    ]
    alone = [
        {"estimate": name, "box noise": f"{noise[0]:.1%}", "landmark noise": f"{noise[1]:.1%}"}
        for name, noise in zip(NAMES, np.sqrt(variance), strict=True)
    ]
    return f"{table(rows)}\n{table(alone)}"


def agreement_report(faces: F32, scores: F32) -> str:
    """How many marks of each kind there are, by size, and which detectors confirm them, in Markdown.

    ``faces`` f32 [m, 15] and ``scores`` f32 [m, 4] as in marks.npz.
    """
    side = faces[:, 2:4].min(axis=1)
    sure, old = certain(scores), scores[:, OLD]
    kinds = {
        "certain before": old >= TRUE_SCORE,
        "promoted": sure & (old > 0) & (old < TRUE_SCORE),
        "new, certain": sure & (old == 0),
        "ignored before and now": ~sure & (old > 0),
        "new, ignored": ~sure & (old == 0),
    }
    rows = []
    for kind, chosen in kinds.items():
        row = {"marks": kind, "all": f"{chosen.sum()}"}
        for low, high in SIZES:
            name = f"{low} to {high} px" if np.isfinite(high) else f"{low} px up"
            row[name] = f"{(chosen & (side >= low) & (side < high)).sum()}"
        for k, name in enumerate(DETECTORS):
            row[f"seen by {name}"] = f"{(scores[chosen, k] > 0).mean() if chosen.any() else 0:.0%}"
        rows.append(row)
    return table(rows)
