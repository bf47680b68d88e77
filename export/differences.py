"""Differences between a smaller or faster file and its float32 file, over the validation split."""

from dataclasses import dataclass

import numpy as np

from fer_edge.arrays import F32
from fer_edge.backends.ort import open_session
from fer_edge.calibrate import softmax
from fer_edge.models import ModelSpec
from fer_edge.onnx_file import facts_from_onnx
from training.data.split import Split
from training.evaluation.inference import logits_from_split


@dataclass(frozen=True, slots=True)
class Differences:
    """Differences of probabilities at the spec's temperature; accuracies are shares of the validation
    rows.
    """

    pictures: int
    largest_difference: float
    mean_difference: float
    changed_labels: float
    accuracy_before: float
    accuracy_after: float
    graph_sha256_before: str
    graph_sha256_after: str

    @property
    def loss(self) -> float:
        """Lost accuracy in percentage points."""
        return 100 * (self.accuracy_before - self.accuracy_after)


def probabilities(file: bytes, split: Split, spec: ModelSpec) -> F32:
    """Probabilities [n, C] of the split's crops, as the runtime computes them."""
    session = open_session(file)
    logits = logits_from_split(lambda x: session.run(None, {"input": x})[0], split, spec.size)
    return softmax(logits.astype(np.float32), spec.temperature)


def differences(before: bytes, after: bytes, split: Split, spec: ModelSpec) -> Differences:
    ours, theirs = probabilities(before, split, spec), probabilities(after, split, spec)
    if not np.isfinite(theirs).all():
        raise ValueError("a probability of the new file is NaN or infinite; its weights overflow")
    difference = np.abs(ours - theirs)
    return Differences(
        pictures=len(split),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        changed_labels=float((ours.argmax(1) != theirs.argmax(1)).mean()),
        accuracy_before=float((ours.argmax(1) == split.labels).mean()),
        accuracy_after=float((theirs.argmax(1) == split.labels).mean()),
        graph_sha256_before=facts_from_onnx(before).graph_sha256,
        graph_sha256_after=facts_from_onnx(after).graph_sha256,
    )
