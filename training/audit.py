"""Looks a data set over before it is trained on: copies across splits, people in several splits, broken files.

``python -m training.audit DATA`` prints a report; ``--json FILE`` writes all of it, every pair by name. Exit
code 0: nothing found; 1: copies or people stand in several splits, or files are broken; 2: the command or the
layout is wrong. Copies within one split are counted, but harm nothing.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.audit_report import text_from_audit
from training.copies import SIDE, Copy, Seen, copies_inside, copies_of, digest_from_luma, thumb_from_luma
from training.data import AUTO, LAYOUTS, layout_from_folder, read
from training.data.pictures import Dataset, Source, Unreadable
from training.data.split import LABELS, SPLITS, UNKNOWN


@dataclass(frozen=True, slots=True)
class Shown:
    """How many pictures of one split show a picture of another: ``exact`` ones, and ``near`` ones beyond those.

    ``shown`` counts the other split's pictures that are seen, exactly or nearly; ``exact_pairs`` and
    ``near_pairs`` the pairs, of which a picture may have several.
    """

    exact: int
    near: int
    shown: int
    exact_pairs: int
    near_pairs: int


def scan(source: Source, name: str) -> tuple[Seen, NDArray[np.int64], dict[str, str]]:
    """Reads every picture of a split, one at a time; returns what the search for copies needs of those that can
    be read, their rows, and why the others cannot.
    """
    thumbs = np.empty((len(source), SIDE, SIDE), np.uint8)
    digests: list[bytes] = []
    rows: list[int] = []
    broken: dict[str, str] = {}
    for row in tqdm(range(len(source)), desc=name, mininterval=5, disable=None):
        luma = source.luma(row)
        if isinstance(luma, Unreadable):
            broken[source.names[row]] = luma.reason
            continue
        thumbs[len(rows)] = thumb_from_luma(luma)
        digests.append(digest_from_luma(luma))
        rows.append(row)
    found = np.array(rows, np.int64)
    return Seen(thumbs[: len(rows)], digests, source.people[found]), found, broken


def shown_from_copies(copies: list[Copy]) -> Shown:
    """Counts pairs between two splits."""
    exact = {copy.row for copy in copies if copy.exact}
    return Shown(
        exact=len(exact),
        near=len({copy.row for copy in copies} - exact),
        shown=len({copy.other for copy in copies}),
        exact_pairs=sum(copy.exact for copy in copies),
        near_pairs=sum(not copy.exact for copy in copies),
    )


def people_across_splits(dataset: Dataset) -> dict[int, list[str]]:
    """The people, by their number, who stand in more than one split, with the names of these splits."""
    splits: dict[int, list[str]] = {}
    for name, source in dataset.splits.items():
        for person in np.unique(source.people[source.people != UNKNOWN]):
            splits.setdefault(int(person), []).append(name)
    return {person: names for person, names in splits.items() if len(names) > 1}


def counts_from_source(source: Source) -> dict[str, int]:
    """Pictures by expression, those without a label of the eight, and those that the source flags."""
    labels = source.votes[source.labelled].argmax(1)
    classes = {label: int((labels == k).sum()) for k, label in enumerate(LABELS)}
    return classes | {
        "no label": int((~source.labelled).sum()),
        "flagged as copies": int(source.flagged.sum()),
    }


def audit(dataset: Dataset) -> dict[str, object]:
    """Everything that the report says, ready for JSON."""
    seen: dict[str, Seen] = {}
    rows: dict[str, NDArray[np.int64]] = {}
    broken = dict(dataset.broken)
    for name, source in dataset.splits.items():
        seen[name], rows[name], unreadable = scan(source, name)
        broken |= unreadable
    across: dict[str, dict[str, object]] = {}
    pairs: list[dict[str, object]] = []
    held_out: list[Copy] = []
    for one, two in combinations(SPLITS, 2):
        copies = [
            Copy(int(rows[one][c.row]), int(rows[two][c.other]), c.exact, c.correlation)
            for c in copies_of(seen[one], seen[two])
        ]
        across[f"{one} in {two}"] = _counted(copies, dataset.splits[one], dataset.splits[two])
        pairs += [_named(copy, one, two, dataset) for copy in copies]
        if one == "train":
            # Numbered on, so that valid and test together are one set.
            held_out += [_moved(copy, two, dataset) for copy in copies]
    across["train in valid or test"] = _counted(held_out, dataset.splits["train"], _joined(dataset))
    return {
        "splits": {
            name: {
                "pictures": len(source),
                "counts": counts_from_source(source),
                "copies_inside": asdict(shown_from_copies(copies_inside(seen[name]))),
            }
            for name, source in dataset.splits.items()
        },
        "across": across,
        "people": people_across_splits(dataset),
        "broken": broken,
        "pairs": pairs,
    }
