"""Splits for data sets that lack them: a function of what is there, not of a seed or the order of files."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

SHARE = 0.1  # of the pictures, for each split that is missing


def carved_by_name(names: Sequence[str], labels: Sequence[int], share: float = SHARE) -> set[int]:
    """Indices of a share of every class: the names with the smallest SHA-256.

    By class, because a tenth drawn at random of a rare class may be half of what was meant.
    """
    carved: set[int] = set()
    for label in set(labels):
        members = [index for index, other in enumerate(labels) if other == label]
        members.sort(key=lambda index: hashlib.sha256(names[index].encode()).digest())
        carved.update(members[: round(share * len(members))])
    return carved


def splits_by_bytes(paths: Sequence[Path], missing: Sequence[str], share: float = SHARE) -> list[str]:
    """The split of each file: a share to each ``missing`` one by the SHA-256 of the file, the rest to train.

    Exact copies have one hash, so they come to lie in one split, whatever their names and folders are.
    """
    splits = []
    for path in tqdm(paths, desc="hashes", mininterval=5, disable=None):
        place = int.from_bytes(hashlib.sha256(_content(path)).digest()[:8], "big") / 2**64
        slot = int(place / share)
        splits.append(missing[slot] if slot < len(missing) else "train")
    return splits


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        # Where it goes does not matter: it is reported when the picture is read.
        return b""
