"""Batches for training: which rows, and how their pictures become network inputs.

Pictures are either distorted at random in each epoch, or read from stored views that teachers have labelled
(``training.distill``).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fer_edge.arrays import F32, F64, I64, U8
from training.data.crops import crop_matrices, normalised, sample
from training.data.split import Split
from training.loop.augment import AugmentRanges, BatchRng, mix, photometric, random_matrices
from training.loop.distributed import Process
from training.loop.settings import Settings


@dataclass(frozen=True, slots=True)
class Batch:
    """Network inputs float32 [n, 1, S, S] and targets [n, 8].

    ``votes`` are zeros in a row without labels. ``teacher`` is None without teachers; else it is their
    probabilities times the weight of the row: ``distill_weight`` with votes, 1 without. They are multiplied
    before rows are mixed, because the two rows of a pair may have different weights.
    """

    x: Tensor
    votes: Tensor
    teacher: Tensor | None

    @property
    def labels(self) -> Tensor:
        """The expression with the most votes [n], of rows (mostly) without votes the teachers' most probable
        one.
        """
        if self.teacher is None:
            return self.votes.argmax(1)
        return torch.where(self.votes.sum(1, keepdim=True) > 0.5, self.votes, self.teacher).argmax(1)


@dataclass(frozen=True, slots=True)
class TeacherViews:
    """Distorted crops u8 [V, n, S, S] of a split's rows and of unlabelled ones, the teachers' probabilities
    f16 [V, n, 8], and the votes f32 [n, 8], zeros where there are none.
    """

    images: U8
    teacher: NDArray[np.float16]
    votes: F32

    @property
    def targets(self) -> F32:
        """The votes, and where there are none the teachers' mean probabilities, f32 [n, 8]."""
        unlabelled = self.votes.sum(1, keepdims=True) == 0
        return np.where(unlabelled, self.teacher.astype(np.float32).mean(0), self.votes)


def load_teacher_views(folder: Path, split: Split) -> TeacherViews:
    """Reads the views that training.distill wrote, memory-mapped.

    Raises:
        FileNotFoundError: training.distill was not run, or was stopped in its first view.
        ValueError: it was stopped later, or the views are of other rows.
    """
    try:
        done = json.loads((folder / "views.json").read_text(encoding="utf-8"))["done"]
        rows = np.load(folder / "rows.npy")
        # Copy on write: PyTorch warns of arrays that it may not write to.
        images = np.load(folder / "images.npy", mmap_mode="c")
        teacher, votes = np.load(folder / "teacher.npy"), np.load(folder / "votes.npy")
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error.filename} does not exist; run python -m training.distill DATA --teachers FILE... "
            f"--out {folder} to its end"
        ) from error
    # The files have their full size from the start: the views that are not made yet are black.
    if done < len(images):
        raise ValueError(
            f"{folder} must hold {len(images)} views, got {done}, because training.distill was "
            "stopped; run it again with the same arguments, and it makes the others"
        )
    labelled = votes.sum(1) > 0
    if not np.array_equal(rows[labelled], split.rows):
        raise ValueError(
            f"{folder} holds views of {labelled.sum()} other rows than the {len(split)} of the training "
            "split; run python -m training.distill with the same DATA and --limit"
        )
    return TeacherViews(images, teacher, votes)


def row_weights(votes: F32, class_balance_power: float) -> F64:
    """Sampling probability of each row."""
    # A class without votes has no rows to draw.
    frequency = np.maximum(votes.mean(0), 1 / len(votes))
    weights: F64 = votes @ (frequency**-class_balance_power)
    return weights / weights.sum()


def draw_rows(votes: F32, settings: Settings, epoch: int) -> list[I64]:
    """Row indices of an epoch's batches, a function of seed and epoch alone."""
    n = len(votes)
    rng = np.random.default_rng((settings.seed, epoch))
    # Each row is drawn floor(expected) times and once more at random, so that an epoch visits nearly all
    # rows.
    expected = row_weights(votes, settings.class_balance_power) * n
    count = np.floor(expected + rng.random(n)).astype(np.int64)
    order = rng.permutation(np.repeat(np.arange(n), count))
    # The same number of steps in every epoch keeps the learning-rate schedule exact.
    order = np.concatenate([order, order])[: n // settings.batch_size * settings.batch_size]
    return list(order.reshape(-1, settings.batch_size))


def size_of_epoch(settings: Settings, full: int, epoch: int) -> int:
    """Side of the crops in px: small in the first epochs, then full."""
    early = settings.early_size and epoch < settings.early_share * settings.epochs
    return settings.early_size if early else full


class BatchLoader:
    """Makes an epoch's batches on the process's device, where the pictures stay."""

    def __init__(
        self, split: Split, settings: Settings, size: int, process: Process, views: TeacherViews | None
    ) -> None:
        self.split, self.settings, self.size, self.process, self.views = split, settings, size, process, views
        local = process.local_rows(settings.batch_size)
        if (settings.mixup_prob or settings.cutmix_prob) and (local.stop - local.start) % 2:
            raise ValueError(
                "mixup and cutmix need an even number of rows in each process, "
                f"got {local.stop - local.start}; change batch_size"
            )
        device = process.device
        self.targets = views.targets if views else split.votes
        self.votes = torch.from_numpy(views.votes if views else split.votes).to(device)
        if views is None:
            self.images = torch.from_numpy(split.images).to(device)
        elif device.type == "cuda":
            # Views of several GB fit there, and a gather from main memory would make the GPU wait.
            self.images = torch.from_numpy(np.asarray(views.images)).to(device)
            self.teacher = torch.from_numpy(views.teacher).to(device)
        else:
            self.images, self.teacher = (torch.from_numpy(a) for a in (views.images, views.teacher))

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return len(self.targets) // self.settings.batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of this process, a function of seed and epoch alone."""
        settings, device = self.settings, self.process.device
        # Seeded for each epoch, so that a resumed run draws the same numbers as an uninterrupted one.
        generator = torch.Generator(device).manual_seed(settings.seed * 100_003 + epoch)
        size = size_of_epoch(settings, self.size, epoch)
        local = self.process.local_rows(settings.batch_size)
        make = self._from_views if self.views else self._distorted(size, epoch)
        for rows in draw_rows(self.targets, settings, epoch):
            rng = BatchRng(len(rows), local, generator)
            local_rows = torch.from_numpy(rows[local]).to(device)
            x, teacher = make(local_rows, size, rng)
            targets = (self.votes[local_rows],) if teacher is None else (self.votes[local_rows], teacher)
            if settings.mixup_prob or settings.cutmix_prob:
                x, targets = mix(x, targets, settings.mixup_prob, settings.cutmix_prob, rng)
            x = x.contiguous(memory_format=torch.channels_last)
            yield Batch(x, targets[0], None if teacher is None else targets[1])

    def _distorted(self, size: int, epoch: int) -> Any:
        settings, device = self.settings, self.process.device
        final = epoch >= (1 - settings.final_share) * settings.epochs
        ranges = AugmentRanges().scaled(settings.final_aug_strength if final else settings.aug_strength)
        aligned, whole = (
            torch.from_numpy(crop_matrices(self.split, size, how)).to(device)
            for how in (settings.aligned, False)
        )

        def make(rows: Tensor, size: int, rng: BatchRng) -> tuple[Tensor, None]:
            matrices = random_matrices(aligned[rows], whole[rows], size, ranges, rng)
            return photometric(sample(self.images[rows], matrices, size), ranges, rng), None

        return make

    def _from_views(self, rows: Tensor, size: int, rng: BatchRng) -> tuple[Tensor, Tensor]:
        view = (rng.uniform(0, 1) * len(self.images)).long()
        luma = self.images[view, rows][:, None].float()
        # The teachers' answer to a view is the mean over it and its mirror image.
        luma = torch.where(rng.bernoulli(0.5)[:, None, None, None], luma.flip(3), luma)
        if size != luma.shape[-1]:
            luma = F.interpolate(luma, (size, size), mode="bilinear", antialias=True, align_corners=False)
        labelled = self.votes[rows].sum(1, keepdim=True) > 0
        weight = torch.where(labelled, self.settings.distill_weight, 1.0)
        return normalised(luma), weight * self.teacher[view, rows].float()
