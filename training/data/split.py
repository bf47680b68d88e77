"""Labelled faces in the form that training, evaluation and export read, whatever the data set's layout.

Labels are FER+'s eight expressions in its order; a data set with one label a picture has votes of 0 and 1.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32, I64, U8

LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
SPLITS = ("train", "valid", "test")
UNKNOWN = -1  # in columns of numbers


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of one split.

    ``images`` u8 [n, S, S] luma; ``votes`` f32 [n, 8], shares that sum to 1; ``single`` i64 [n], a second
    label from another source, as an index of LABELS (for FER+: FER2013's own), -1 where there is none;
    ``rows`` i64 [n], the row or file number in the data set; ``people`` i64 [n], who is shown, -1 where
    unknown; ``landmarks`` f32 [n, 5, 2] in picture pixels, NaN where no face was found.
    """

    images: U8
    votes: F32
    single: I64
    rows: I64
    people: I64
    landmarks: F32

    @property
    def labels(self) -> I64:
        """The expression with the most votes; of equal ones the first in FER+ order."""
        return self.votes.argmax(1)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Where the detector found a face."""
        return np.isfinite(self.landmarks[:, 0, 0])

    @property
    def side(self) -> int:
        """Width and height of the pictures in px."""
        return self.images.shape[1]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, which: NDArray[np.bool_] | I64 | slice) -> "Split":
        """The rows that a mask, indices or a slice select."""
        return Split(*(getattr(self, f.name)[which] for f in fields(self)))

    def sample(self, count: int | None) -> "Split":
        """The rows that `random_rows` draws."""
        return self.take(random_rows(len(self), count))


def random_rows(total: int, count: int | None) -> I64:
    """Indices of ``count`` of ``total`` rows in ascending order, drawn at random, but always the same; of all
    rows where ``count`` is None or more.

    The first rows would not do: a data set in class folders is read class by class.
    """
    return np.sort(np.random.default_rng(0).permutation(total)[:count])


def save(split: Split, path: Path) -> None:
    """Writes all columns of a split to one npz file."""
    np.savez(path, **{f.name: getattr(split, f.name) for f in fields(split)})


def load_prepared(folder: Path, split: str) -> Split:
    """Reads what training.prepare wrote.

    Raises:
        FileNotFoundError: training.prepare was not run.
        ValueError: the file is of an older training.prepare.
    """
    path = folder / f"{split}.npz"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run python -m training.prepare DATA --out {folder}")
    with np.load(path) as packed:
        if missing := [f.name for f in fields(Split) if f.name not in packed]:
            raise ValueError(f"{path} lacks {', '.join(missing)}; run python -m training.prepare again")
        return Split(*(packed[f.name] for f in fields(Split)))
