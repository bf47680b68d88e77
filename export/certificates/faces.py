"""Face crops on which an expression network is calibrated and measured."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from export.certificates.differences import Differences
from export.certificates.networks import outputs_of
from fer_edge.arrays import F32, I64
from fer_edge.backends.base import Backend
from fer_edge.models import ModelError, ModelSpec
from fer_edge.stages.align import matrices_from_boxes
from fer_edge.stages.calibrate import softmax
from fer_edge.stages.preprocess import correct_exposure, fill_from_crops
from training.data.pictures import UnreadablePicture, luma_from_file, picture_files
from training.data.split import Split, load_prepared
from training.evaluation.inference import input_batches

Rows = Callable[[int], slice]  # number of rows of a split -> those to take
Files = Callable[[list[Path]], list[Path]]  # sorted files of a folder -> those to take
BATCH = 8  # rows that a network gets at once, which any engine's profile allows


class Answers(NamedTuple):
    """What a network says of n crops."""

    probabilities: F32  # [n, C], at the spec's temperature
    check: F32 | None  # [n, k], probabilities of the crop check; None without one


class Faces:
    """Network inputs float32 [n, 1, S, S], made as the runtime makes them, and labels if there are any."""

    def __init__(self, inputs: list[F32], labels: I64 | None, spec: ModelSpec, name: str) -> None:
        self._inputs, self.labels, self._spec, self.name = inputs, labels, spec, name

    def __len__(self) -> int:
        return sum(map(len, self._inputs))

    def inputs(self) -> Iterator[F32]:
        """Yields the inputs, BATCH at a time."""
        for x in self._inputs:
            yield from (x[k : k + BATCH] for k in range(0, len(x), BATCH))

    @property
    def sha256(self) -> str:
        """Identifies inputs and labels."""
        digest = hashlib.sha256()
        for x in self._inputs:
            digest.update(x.tobytes())
        digest.update(b"" if self.labels is None else self.labels.tobytes())
        return digest.hexdigest()

    def results(self, network: Backend) -> Answers:
        """A network's answers, computed from its outputs as the runtime does."""
        outputs = [outputs_of(network, x) for x in self.inputs()]
        logits, *checks = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
        check = 1 / (1 + np.exp(-checks[0])) if checks else None
        return Answers(softmax(logits, self._spec.temperature), check)

    def differences(self, reference: Backend, candidate: Backend) -> Differences:
        """Raises ValueError if a probability of the candidate is not finite, or if only one has a crop
        check.
        """
        return self.differences_from(self.results(reference), candidate)

    def differences_from(self, reference: Answers, candidate: Backend) -> Differences:
        """`differences` from answers of the reference that are already known."""
        (ours, our_check), (theirs, their_check) = reference, self.results(candidate)
        if (our_check is None) != (their_check is None):
            raise ValueError(
                "both files must have a crop check, or none, got one only in the "
                f"{'new file' if our_check is None else 'reference'}; export the new file again"
            )
        answers = (theirs,) if their_check is None else (theirs, their_check)
        if not all(np.isfinite(part).all() for part in answers):
            raise ValueError("a probability of the new file is NaN or infinite; its weights overflow")
        difference = np.abs(ours - theirs)
        right = [
            None if self.labels is None else float((p.argmax(1) == self.labels).mean())
            for p in (ours, theirs)
        ]
        return Differences(
            pictures=len(self),
            largest_difference=float(difference.max()),
            mean_difference=float(difference.mean()),
            changed_labels=float((ours.argmax(1) != theirs.argmax(1)).mean()),
            accuracy_before=right[0],
            accuracy_after=right[1],
            largest_check_difference=(
                None
                if our_check is None or their_check is None
                else float(np.abs(our_check - their_check).max())
            ),
        )


def faces_from_split(split: Split, spec: ModelSpec, name: str) -> Faces:
    """Faces of a prepared split."""
    return Faces(list(input_batches(split, spec.size)), split.labels, spec, name)


def faces_from_prepared(folder: Path, split: str, spec: ModelSpec, rows: Rows | None = None) -> Faces:
    """Rows of a split that training.prepare wrote, in an order that is random but always the same."""
    prepared = load_prepared(folder, split)
    chosen = np.random.default_rng(0).permutation(len(prepared))
    if rows is not None:
        chosen = chosen[rows(len(prepared))]
    return faces_from_split(prepared.take(chosen), spec, f"{split} of {folder.name}")


def faces_from_pictures(folder: Path, part: Files, spec: ModelSpec) -> Faces:
    """Every file below a folder is an upright, tight face crop, as for `Recognizer.recognize_crops`."""
    files = part(picture_files(folder, folder, {}))
    planes = [luma_from_file(file) for file in files]
    unreadable = [
        (f, p.reason) for f, p in zip(files, planes, strict=True) if isinstance(p, UnreadablePicture)
    ]
    if unreadable or not planes:
        reason = "{}: {}".format(*unreadable[0]) if unreadable else "too few were found"
        raise ModelError(f"{folder} must hold face crops or what training.prepare writes; {reason}")
    boxes = np.array([(0, 0, p.shape[1], p.shape[0]) for p in planes], np.float32)
    x = np.empty((len(planes), 1, spec.size, spec.size), np.float32)
    fill_from_crops(planes, matrices_from_boxes(boxes, spec.size), spec, x)
    correct_exposure(x, x.std((1, 2, 3)) / np.float32(abs(spec.scale)), spec)
    return Faces([x], None, spec, f"pictures of {folder.name}")
