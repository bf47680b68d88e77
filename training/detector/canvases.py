"""The training canvases of a whole run as one data set, so that its workers start once."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.detector.assignment import Faces, pad_faces
from training.detector.augment import Canvas, PhotoPool, make_canvas


@dataclass(frozen=True, slots=True)
class Plan:
    """How many canvases of which kind a run shows."""

    epochs: int
    epoch_size: int  # canvases
    batch_size: int
    canvas_size: int  # px
    final_epochs: int  # with distortions of final_strength, in [0, 1]
    final_strength: float
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch; canvases that do not fill a batch are left out."""
        return self.epoch_size // self.batch_size


class Canvases(Dataset[Canvas]):
    """Canvas ``i`` of epoch ``e`` is a function of (seed, e, i) alone, whichever worker makes it.

    Its index is ``e * epoch_size + i``.
    """

    def __init__(self, photos: PhotoPool, plan: Plan) -> None:
        self.photos, self.plan = photos, plan

    def __len__(self) -> int:
        return self.plan.epochs * self.plan.epoch_size

    def __getitem__(self, index: int) -> Canvas:
        plan = self.plan
        epoch, number = divmod(index, plan.epoch_size)
        calm = epoch >= plan.epochs - plan.final_epochs
        rng = np.random.default_rng((plan.seed, epoch, number))
        return make_canvas(self.photos, plan.canvas_size, rng, plan.final_strength if calm else 1.0)


class Batches:
    """The indices of each batch from epoch ``first`` to the end of the run."""

    def __init__(self, plan: Plan, first: int) -> None:
        self.plan, self.first = plan, first

    def __len__(self) -> int:
        return (self.plan.epochs - self.first) * self.plan.steps_per_epoch

    def __iter__(self) -> Iterator[list[int]]:
        size = self.plan.batch_size
        for epoch in range(self.first, self.plan.epochs):
            for step in range(self.plan.steps_per_epoch):
                start = epoch * self.plan.epoch_size + step * size
                yield list(range(start, start + size))


def collate(batch: list[Canvas]) -> tuple[Tensor, Faces]:
    """Images u8 [N, S, S] and faces of a batch."""
    images = torch.from_numpy(np.stack([c.image for c in batch]))
    parts = ([getattr(c, name) for c in batch] for name in ("boxes", "landmarks", "ignored"))
    return images, pad_faces(*parts)


def canvas_loader(photos: PhotoPool, plan: Plan, first: int, workers: int, pinned: bool) -> DataLoader:
    """All batches from epoch ``first`` on, in order; ``workers`` 0 makes them in this process."""
    # Forked, so that the workers share the photographs, hundreds of megabytes, instead of copying them.
    several = {"multiprocessing_context": "fork", "prefetch_factor": 4} if workers else {}
    return DataLoader(
        Canvases(photos, plan),
        batch_sampler=Batches(plan, first),
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pinned,
        worker_init_fn=_one_thread,
        **several,
    )


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)
