"""Splits for data sets that lack them, as a function of names or contents, not of a seed or the order of
files.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

SHARE = 0.1  # of the pictures, for each split that is missing


def split_by_name_hash(names: Sequence[str], labels: Sequence[int], share: float = SHARE) -> set[int]:
    """Indices of a share of every class: the names with the smallest SHA-256.

    By class, because a random tenth of all rows may hold none of a rare class.
    """
    held_out: set[int] = set()
    for label in set(labels):
        members = [index for index, other in enumerate(labels) if other == label]
        members.sort(key=lambda index: hashlib.sha256(names[index].encode()).digest())
        held_out.update(members[: round(share * len(members))])
    return held_out


def split_by_file_hash(paths: Sequence[Path], missing: Sequence[str], share: float = SHARE) -> list[str]:
    """The split of each file by its SHA-256: a share for each ``missing`` split, the rest for train.

    Exact copies have the same hash, so they are in the same split, whatever their names and folders are.
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
        # The split of an unreadable file does not matter: it is reported when the picture is read.
        return b""
