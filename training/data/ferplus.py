"""FER+: FER2013's pictures with ten votes each (Barsoum et al., "Training deep networks for facial expression
recognition with crowd-sourced label distribution", 2016).

Rows whose majority of the ten categories is "unknown" or "not a face" are left out; the distribution over the
other eight is the target. Training rows that also stand in the validation or test split, exactly or nearly,
are left out too.
"""

from dataclasses import fields
from pathlib import Path

import numpy as np

from training.data.split import LABELS, UNKNOWN, Split

SIDE = 48  # px of a picture
# FER2013's own seven labels (angry, disgust, fear, happy, sad, surprise, neutral) as indices of LABELS.
FER2013_ORDER = (4, 5, 6, 1, 3, 2, 0)


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
            np.full(len(shares), UNKNOWN, np.int64),
            np.full((len(shares), 5, 2), np.nan, np.float32),
        )
