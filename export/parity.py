"""The parity certificate: how far an exported file is from the checkpoint it was made of."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import numpy as np
import onnxruntime
import torch
from torch import nn

from fer_edge.arrays import F32
from fer_edge.backends.ort import open_session

Outputs = list[F32]


@dataclass(frozen=True, slots=True)
class Parity:
    """Differences of probabilities between checkpoint and file over ``pictures`` pictures."""

    pictures: int
    largest_difference: float
    mean_difference: float
    changed_labels: int
    sha256: str
    torch: str
    onnxruntime: str

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


@torch.inference_mode()
def compare(
    model: nn.Module,
    file: bytes,
    inputs: Iterable[F32],
    probabilities: Callable[[Outputs], F32],
) -> Parity:
    """Runs both on every input (float32 [n, C, H, W]); ``probabilities`` reads a network's outputs as [rows,
    classes].

    A row of one class (a detector's scores) changes its label when its largest score is elsewhere.
    """
    session = open_session(file)
    largest, total, changed, pictures = 0.0, 0.0, 0, 0
    for x in inputs:
        expected = model(torch.from_numpy(x))
        expected = [expected] if isinstance(expected, torch.Tensor) else list(expected)
        ours = probabilities([e.numpy() for e in expected])
        theirs = probabilities(session.run(None, {"input": x}))
        difference = np.abs(ours - theirs)
        if not np.isfinite(difference).all():
            raise ValueError("a probability is not a number; the checkpoint or its file is broken")
        largest, total = max(largest, float(difference.max())), total + len(x) * float(difference.mean())
        pictures += len(x)
        changed += int((ours.argmax(-1) != theirs.argmax(-1)).sum())
    return Parity(
        pictures=pictures,
        largest_difference=largest,
        mean_difference=total / pictures,
        changed_labels=changed,
        sha256=hashlib.sha256(file).hexdigest(),
        torch=torch.__version__,
        onnxruntime=onnxruntime.__version__,
    )
