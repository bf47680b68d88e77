"""FER+: FER2013's pictures with ten votes each (Barsoum et al., "Training deep networks for facial expression
recognition with crowd-sourced label distribution", 2016).

Rows whose majority of the ten categories is "unknown" or "not a face" are left out; the distribution over the
other eight is the target. Training rows that also stand in the validation or test split, exactly or nearly,
are left out too.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
SIDE = 48  # px of a picture
# FER2013's own seven labels (angry, disgust, fear, happy, sad, surprise, neutral) as indices of LABELS.
FER2013_ORDER = (4, 5, 6, 1, 3, 2, 0)
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of one split.

    ``images`` u8 [n, 48, 48] luma; ``votes`` f32 [n, 8], shares that sum to 1; ``fer2013`` i64 [n], FER2013's
    label as an index of LABELS; ``rows`` i64 [n], the row in the original file; ``landmarks`` f32 [n, 5, 2]
    in picture pixels, NaN where no face was found.
    """

    images: NDArray[np.uint8]
    votes: NDArray[np.float32]
    fer2013: NDArray[np.int64]
    rows: NDArray[np.int64]
    landmarks: NDArray[np.float32]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The expression with the most votes; of equals the first in FER+ order."""
        return self.votes.argmax(1)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Where the detector found a face."""
        return np.isfinite(self.landmarks[:, 0, 0])

    def __len__(self) -> int:
        return len(self.images)

    def take(self, which: NDArray[np.bool_] | slice) -> "Split":
        """The rows that a mask or slice selects."""
        return Split(*(getattr(self, f.name)[which] for f in fields(self)))


def read_packed(folder: Path, split: str) -> Split:
    """Reads ``<split>.npz`` or ``<split>-*.npz``: images, votes [n, 10], fer2013_label, row, copy_of_heldout.

    Raises FileNotFoundError when there is none.
    """
    files = sorted(folder.glob(f"{split}.npz")) + sorted(folder.glob(f"{split}-*.npz"))
    if not files:
        raise FileNotFoundError(f"{folder} must hold {split}.npz or {split}-*.npz; found neither")
    parts = [_rows(file) for file in files]
    return Split(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Split)))


def _rows(file: Path) -> Split:
    with np.load(file) as packed:
        votes = packed["votes"].astype(np.float32)
        keep = (votes.argmax(1) < len(LABELS)) & ~packed["copy_of_heldout"]
        shares = votes[keep, : len(LABELS)]
        return Split(
            packed["images"][keep],
            shares / shares.sum(1, keepdims=True),
            np.array(FER2013_ORDER)[packed["fer2013_label"][keep]],
            packed["row"][keep].astype(np.int64),
            np.full((len(shares), 5, 2), np.nan, np.float32),
        )


def save(split: Split, path: Path) -> None:
    """Writes a split, landmarks and all, as one npz."""
    np.savez(path, **{f.name: getattr(split, f.name) for f in fields(split)})


def load_prepared(folder: Path, split: str) -> Split:
    """Reads what training.prepare_ferplus wrote; raises FileNotFoundError when it was not run."""
    path = folder / f"{split}.npz"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist; run python -m training.prepare_ferplus DATA --out {folder}"
        )
    with np.load(path) as packed:
        return Split(*(packed[f.name] for f in fields(Split)))
