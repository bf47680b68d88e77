"""The parity certificate: the differences between an exported file and its checkpoint."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from torch import nn

from fer_edge.arrays import F32
from fer_edge.backends.ort import open_session
from fer_edge.onnx_file import facts_from_onnx

Outputs = list[F32]


@dataclass(frozen=True, slots=True)
class Parity:
    """Differences of probabilities between checkpoint and file over ``pictures`` pictures.

    ``largest_output_difference`` is of any number of any output, as a share of it, or of 1 where it is
    smaller.
    """

    pictures: int
    largest_difference: float
    largest_output_difference: float
    mean_difference: float
    changed_labels: int
    graph_sha256: str
    torch: str
    onnxruntime: str


@torch.inference_mode()
def compare(
    model: nn.Module,
    file: bytes,
    inputs: Iterable[F32],
    probabilities: Callable[[Outputs], F32],
) -> Parity:
    """Runs both on every input (float32 [n, C, H, W]); ``probabilities`` makes [rows, classes] of a network's
    outputs.

    A row of one class (the scores of a detector) counts as a changed label when its largest score is
    elsewhere.
    """
    session = open_session(file)
    largest, of_outputs, total, changed, pictures = 0.0, 0.0, 0.0, 0, 0
    for x in inputs:
        expected = model(torch.from_numpy(x))
        expected = [expected] if isinstance(expected, torch.Tensor) else expected
        exact, got = [e.numpy() for e in expected], session.run(None, {"input": x})
        apart = [np.abs(a - b) / np.maximum(np.abs(a), 1) for a, b in zip(exact, got, strict=True)]
        if not all(np.isfinite(part).all() for part in apart):
            raise ValueError("an output is NaN or infinite; the checkpoint or its file is broken")
        of_outputs = max(of_outputs, *(float(part.max()) for part in apart))
        ours, theirs = probabilities(exact), probabilities(got)
        difference = np.abs(ours - theirs)
        largest, total = max(largest, float(difference.max())), total + len(x) * float(difference.mean())
        pictures += len(x)
        changed += int((ours.argmax(-1) != theirs.argmax(-1)).sum())
    return Parity(
        pictures=pictures,
        largest_difference=largest,
        largest_output_difference=of_outputs,
        mean_difference=total / pictures,
        changed_labels=changed,
        graph_sha256=facts_from_onnx(file).graph_sha256,
        torch=torch.__version__,
        onnxruntime=onnxruntime.__version__,
    )
