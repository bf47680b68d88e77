"""Checks a data set before training: copies across splits, people in several splits, broken files.

``python -m training.audit DATA`` prints a report; ``--json FILE`` writes all of it, with every pair by name.
Exit code 0: nothing found; 1: copies or people in several splits, or broken files; 2: wrong command or
layout. Copies within one split are counted, but they are no leak.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fer_edge.arrays import I64
from training.command_line import exit_on_error
from training.data.audit_report import text_from_audit
from training.data.dedup import (
    MIN_CORRELATION,
    MIN_CORRELATION_HELP,
    SIDE,
    Fingerprints,
    check_min_correlation,
    digest_from_luma,
    duplicates_between,
    duplicates_within,
    thumbnail_from_luma,
)
from training.data.pictures import Dataset, Source, UnreadablePicture
from training.data.readers import AUTO, LAYOUTS, read
from training.data.split import LABELS, SPLITS, UNKNOWN


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that are copies, each as (split, row)."""

    one: tuple[str, int]
    two: tuple[str, int]
    exact: bool
    correlation: float


@dataclass(frozen=True, slots=True)
class CopyCounts:
    """How many pictures of one set are copies of pictures of another: ``exact``, or only ``near``.

    ``matched`` counts the pictures of the other set that have a copy; ``exact_pairs`` and ``near_pairs``
    count pairs, of which a picture may have several.
    """

    exact: int
    near: int
    matched: int
    exact_pairs: int
    near_pairs: int


def scan(source: Source, name: str) -> tuple[Fingerprints, I64, dict[str, str]]:
    """Reads every picture of a split, one at a time.

    Returns fingerprints and rows of the readable pictures, and the reasons why the others cannot be read, by
    name.
    """
    thumbnails = np.empty((len(source), SIDE, SIDE), np.uint8)
    digests: list[bytes] = []
    rows: list[int] = []
    broken: dict[str, str] = {}
    for row in tqdm(range(len(source)), desc=name, mininterval=5, disable=None):
        luma = source.luma(row)
        if isinstance(luma, UnreadablePicture):
            broken[source.names[row]] = luma.reason
            continue
        thumbnails[len(rows)] = thumbnail_from_luma(luma)
        digests.append(digest_from_luma(luma))
        rows.append(row)
    found = np.array(rows, np.int64)
    return Fingerprints(thumbnails[: len(rows)], digests, source.people[found]), found, broken


def pairs_from_splits(
    fingerprints: dict[str, Fingerprints], rows: dict[str, I64], min_correlation: float
) -> list[Pair]:
    """All copies across and within splits; ``rows`` are the rows of the fingerprints in their splits."""
    found = [
        (one, two, duplicates_between(fingerprints[one], fingerprints[two], min_correlation))
        for one, two in combinations(SPLITS, 2)
    ]
    found += [(name, name, duplicates_within(fingerprints[name], min_correlation)) for name in SPLITS]
    return [
        Pair((one, int(rows[one][c.row])), (two, int(rows[two][c.other_row])), c.exact, c.correlation)
        for one, two, copies in found
        for c in copies
    ]


def counts_from_pairs(pairs: Iterable[Pair]) -> CopyCounts:
    """Counts pairs by the pictures on their two sides."""
    pairs = list(pairs)
    exact = {pair.one for pair in pairs if pair.exact}
    return CopyCounts(
        exact=len(exact),
        near=len({pair.one for pair in pairs} - exact),
        matched=len({pair.two for pair in pairs}),
        exact_pairs=sum(pair.exact for pair in pairs),
        near_pairs=sum(not pair.exact for pair in pairs),
    )


def people_across_splits(dataset: Dataset) -> dict[int, list[str]]:
    """The numbers of the people who are in more than one split, with the names of these splits."""
    splits: dict[int, list[str]] = {}
    for name, source in dataset.splits.items():
        for person in np.unique(source.people[source.people != UNKNOWN]):
            splits.setdefault(int(person), []).append(name)
    return {person: names for person, names in splits.items() if len(names) > 1}


def counts_from_source(source: Source) -> dict[str, int]:
    """Pictures by expression, those with none of the eight, and those that the data set itself marks as
    copies.
    """
    labels = source.votes[source.labelled].argmax(1)
    classes = {label: int((labels == k).sum()) for k, label in enumerate(LABELS)}
    return classes | {"no label": int((~source.labelled).sum()), "flagged": int(source.flagged.sum())}


def audit(dataset: Dataset, min_correlation: float = MIN_CORRELATION) -> dict[str, object]:
    """The whole report, ready for JSON; ``min_correlation`` as in `duplicates_between`."""
    # Reading the pictures of a large set takes minutes.
    check_min_correlation(min_correlation)
    fingerprints: dict[str, Fingerprints] = {}
    rows: dict[str, I64] = {}
    broken = dict(dataset.broken)
    for name, source in dataset.splits.items():
        fingerprints[name], rows[name], unreadable = scan(source, name)
        broken |= unreadable
    pairs = pairs_from_splits(fingerprints, rows, min_correlation)
    across = [pair for pair in pairs if pair.one[0] != pair.two[0]]
    counted = {
        f"{one} in {two}": [p for p in across if (p.one[0], p.two[0]) == (one, two)]
        for one, two in combinations(SPLITS, 2)
    }
    counted["train in valid or test"] = [pair for pair in across if pair.one[0] == "train"]
    within = {
        # In reverse, so that of several copies all but the first count.
        name: [Pair(p.two, p.one, p.exact, p.correlation) for p in pairs if p.one[0] == p.two[0] == name]
        for name in SPLITS
    }

    def labelled(pair: Pair) -> bool:
        return all(dataset.splits[split].labelled[row] for split, row in (pair.one, pair.two))

    return {
        "min_correlation": min_correlation,
        "pictures": {name: counts_from_source(source) for name, source in dataset.splits.items()},
        "across": {
            name: {
                "all pictures": asdict(counts_from_pairs(some)),
                "labelled pictures": asdict(counts_from_pairs(filter(labelled, some))),
            }
            for name, some in counted.items()
        },
        "within": {name: asdict(counts_from_pairs(some)) for name, some in within.items()},
        "people": people_across_splits(dataset),
        "broken": broken,
        "pairs": [_named(pair, dataset) for pair in across],
    }


def leaks(found: dict[str, object]) -> bool:
    """Whether an audit found anything that must be fixed before training."""
    return bool(found["pairs"] or found["people"] or found["broken"])


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.audit", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument("--layout", default=AUTO, help=f"{AUTO} or one of {', '.join(LAYOUTS)}")
    parser.add_argument("--json", type=Path, help="file for the whole report (JSON)")
    parser.add_argument("--counts-only", action="store_true", help="leave the list of pairs out of the JSON")
    parser.add_argument("--min-correlation", type=float, default=MIN_CORRELATION, help=MIN_CORRELATION_HELP)
    args = parser.parse_args(arguments)
    with exit_on_error(parser):
        found = audit(read(args.data, args.layout), args.min_correlation)
        if args.json:
            kept = {name: part for name, part in found.items() if name != "pairs" or not args.counts_only}
            args.json.write_text(json.dumps(kept, indent=2) + "\n")
    print(text_from_audit(found))
    return int(leaks(found))


def _named(pair: Pair, dataset: Dataset) -> dict[str, object]:
    sides = [f"{split}: {dataset.splits[split].names[row]}" for split, row in (pair.one, pair.two)]
    return {"pictures": sides, "exact": pair.exact, "correlation": round(pair.correlation, 4)}


if __name__ == "__main__":
    sys.exit(main())
