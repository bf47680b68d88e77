"""Accuracy under distortion: one curve for each of ``training.evaluation.distortions.DISTORTIONS``."""

from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from fer_edge.arrays import F64
from training.data.split import Split
from training.evaluation import expression_metrics as metrics
from training.evaluation.distortions import DISTORTIONS, Change, Distortion, Scene, inputs_from_scene
from training.evaluation.inference import BATCH
from training.evaluation.predictors import Predictor

Row = dict[str, object]
Curves = dict[str, dict[str, object]]


def logits_from_scene(predictor: Predictor, scene: Scene) -> F64:
    """Logits of the faces that the runtime cuts out of the pictures."""
    parts = (
        Scene(scene.planes[k : k + BATCH], scene.matrices[k : k + BATCH])
        for k in range(0, len(scene.planes), BATCH)
    )
    answers = [predictor.logits(inputs_from_scene(part, predictor.size)) for part in parts]
    return np.concatenate(answers).astype(np.float64)


def robustness(predictor: Predictor, split: Split, plain: F64, finished: Callable[[Curves], None]) -> Curves:
    """All curves; ``plain`` are the logits of the undistorted split, ``finished`` is called with all curves
    after each.
    """
    curves: Curves = {}
    total = sum(len(d.levels) * len(d.cases) for d in DISTORTIONS)
    with tqdm(total=total, unit="level", mininterval=5) as bar:
        for distortion in DISTORTIONS:
            bar.set_description(distortion.name)
            cases = {
                case: [
                    level_row(predictor, split, plain, distortion, change, level, bar)
                    for level in distortion.levels
                ]
                for case, change in distortion.cases.items()
            }
            curves[distortion.name] = {"unit": distortion.unit, "plain": distortion.plain, "cases": cases}
            finished(curves)
    return curves


def level_row(
    predictor: Predictor,
    split: Split,
    plain: F64,
    distortion: Distortion,
    change: Change,
    level: float,
    bar: tqdm,
) -> Row:
    """Accuracies at one level, and the accuracy lost to it with the interval of the paired difference."""
    logits = plain
    if level != distortion.plain:
        logits = logits_from_scene(predictor, change(split, predictor.size, level))
    bar.update()
    counts = metrics.confusion(logits, split.labels)
    figures, spread = metrics.accuracies(counts), metrics.intervals(counts)
    lost = (plain.argmax(1) == split.labels).astype(int) - (logits.argmax(1) == split.labels)
    return {
        "level": level,
        "accuracy": float(figures.accuracy),
        "accuracy_95": spread.accuracy.tolist(),
        "balanced_accuracy": float(figures.balanced),
        "balanced_accuracy_95": spread.balanced.tolist(),
        "lost": float(lost.mean()),
        "lost_95": list(metrics.difference_interval(lost)),
    }
