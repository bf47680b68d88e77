"""FER+ in packed form, and the rules that all layouts of FER+ share.

FER2013's pictures with ten votes each (Barsoum et al., "Training deep networks for facial expression
recognition with crowd-sourced label distribution", 2016). Rows whose majority of the ten categories is
"unknown" or "not a face" have no label; the target is the distribution over the other eight. In every layout,
a row's number is the one in its file name (fer0000123.png).
"""

import zipfile
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32, U8
from training.data.labels import FER2013, INDEX
from training.data.pictures import Dataset, Picture, Source, source_from_arrays
from training.data.split import LABELS, SPLITS

SIDE = 48  # px of a picture
CATEGORIES = 10  # LABELS, unknown, not a face
# FER2013's own labels as indices of LABELS.
FER2013_ORDER = tuple(INDEX[name] for name in FER2013)

EXPECTS = "train.npz, valid.npz and test.npz (or train-0.npz, train-1.npz, ...)"
COLUMNS = ("images", "votes", "fer2013_label", "row", "copy_of_heldout")


def fits(root: Path) -> bool:
    """Whether the packed files are there."""
    return all(_files(root, split) for split in SPLITS)


def read(root: Path) -> Dataset:
    """Reads ``<split>.npz`` or ``<split>-*.npz`` for each of SPLITS.

    Raises:
        ValueError: a file cannot be opened, lacks a column, or its columns do not fit together.
    """
    return Dataset({split: _source(_files(root, split)) for split in SPLITS}, side=SIDE)


def shares_from_votes(votes: F32) -> tuple[F32, NDArray[np.bool_]]:
    """Votes [n, 10] to shares of LABELS f32 [n, 8], and bool [n]: whether one of LABELS has the most
    votes.
    """
    ours = votes[:, : len(LABELS)]
    total = ours.sum(1, keepdims=True)
    shares = np.divide(ours, total, out=np.zeros_like(ours), where=total > 0)
    return shares, (votes.argmax(1) < len(LABELS)) & (total[:, 0] > 0)


def _files(root: Path, split: str) -> list[Path]:
    return sorted(root.glob(f"{split}.npz")) + sorted(root.glob(f"{split}-*.npz"))


def _source(files: list[Path]) -> Source:
    parts = [_columns(file) for file in files]
    column = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    names = [
        f"{file.name} row {k}"
        for file, part in zip(files, parts, strict=True)
        for k in range(len(part["row"]))
    ]
    shares, labelled = shares_from_votes(column["votes"].astype(np.float32))
    return source_from_arrays(
        names,
        partial(_image_at, column["images"]),
        shares,
        column["row"].astype(np.int64),
        single=np.array(FER2013_ORDER)[column["fer2013_label"]],
        labelled=labelled,
        flagged=column["copy_of_heldout"].astype(bool),
    )


def _image_at(images: U8, index: int) -> Picture:
    return images[index]


def _columns(file: Path) -> dict[str, NDArray[np.generic]]:
    try:
        # Opened here, because NumPy leaves a file open that is not an archive.
        with file.open("rb") as opened, np.load(opened) as packed:
            found = {name: packed[name] for name in COLUMNS if name in packed}
    # What NumPy and zipfile raise for a file that is not an archive or is truncated.
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} cannot be read ({error}); fetch or pack it again") from error
    if missing := [name for name in COLUMNS if name not in found]:
        raise ValueError(
            f"{file} must hold {', '.join(COLUMNS)}; it lacks {', '.join(missing)}; pack it again"
        )
    rows = len(found["row"])
    shapes = {"images": (rows, SIDE, SIDE), "votes": (rows, CATEGORIES)}
    for name, array in found.items():
        expected = shapes.get(name, (rows,))
        if array.shape != expected:
            raise ValueError(
                f"{file}: {name} must be {list(expected)}, got {list(array.shape)}; pack it again"
            )
    if found["images"].dtype != np.uint8:
        raise ValueError(f"{file}: images must be uint8, got {found['images'].dtype}; pack it again")
    if not np.isin(found["fer2013_label"], range(len(FER2013))).all():
        raise ValueError(f"{file}: fer2013_label must be 0 to {len(FER2013) - 1}; pack it again")
    return found
