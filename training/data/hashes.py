"""SHA-256 of what a command reads, to notice other inputs where earlier work is continued."""

import hashlib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np

from training.data.split import Split


def hash_of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hash_of_photos(folder: Path) -> str:
    """Of the files that training.detector.photos reads."""
    return _hash(path.read_bytes() for path in sorted(folder.glob("faces-*.npz")))


def hash_of_splits(*splits: Split) -> str:
    """Of all columns: a set that was prepared again in another way has the same rows, but is another one."""
    return _hash(np.ravel(getattr(split, column.name)) for split in splits for column in fields(split))


def _hash(parts: Iterable[bytes | np.ndarray]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
