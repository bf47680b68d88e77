"""Looks a data set over before training: copies across splits, people in several splits, broken files.

``python -m training.audit DATA`` prints a report; ``--json FILE`` writes all of it, every pair by name. Exit
code 0: nothing found; 1: copies or people stand in several splits, or files are broken; 2: the command or the
layout is wrong. Copies within one split are counted, but are no leak.
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
from training.data.audit_report import text_from_audit
from training.data.dedup import (
    MIN_CORRELATION,
    NEAR_HELP,
    SIDE,
    Seen,
    copies_inside,
    copies_of,
    digest_from_luma,
    thumb_from_luma,
)
from training.data.pictures import Dataset, Source, Unreadable
from training.data.readers import AUTO, LAYOUTS, read
from training.data.split import LABELS, SPLITS, UNKNOWN


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that are one, each as (split, row)."""

    one: tuple[str, int]
    two: tuple[str, int]
    exact: bool
    correlation: float


@dataclass(frozen=True, slots=True)
class Shown:
    """How many pictures of one set show a picture of another: ``exact`` ones, and ``near`` ones beyond those.

    ``shown`` counts the other set's pictures that are seen either way; ``exact_pairs`` and ``near_pairs`` the
    pairs, of which a picture may have several.
    """

    exact: int
    near: int
    shown: int
    exact_pairs: int
    near_pairs: int


def scan(source: Source, name: str) -> tuple[Seen, I64, dict[str, str]]:
    """Reads every picture of a split, one at a time.

    Returns what the search for copies needs of those that can be read, their rows, and why the others cannot.
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


def pairs_from_splits(seen: dict[str, Seen], rows: dict[str, I64], near: float) -> list[Pair]:
    """All copies across and within splits; ``rows`` are the places of what was seen in the splits."""
    found = [
        (one, two, copies_of(seen[one], seen[two], near) if one != two else copies_inside(seen[one], near))
        for one, two in [*combinations(SPLITS, 2), *((name, name) for name in SPLITS)]
    ]
    return [
        Pair((one, int(rows[one][c.row])), (two, int(rows[two][c.other])), c.exact, c.correlation)
        for one, two, copies in found
        for c in copies
    ]


def shown_from_pairs(pairs: Iterable[Pair]) -> Shown:
    """Counts pairs by the pictures on their two sides."""
    pairs = list(pairs)
    exact = {pair.one for pair in pairs if pair.exact}
    return Shown(
        exact=len(exact),
        near=len({pair.one for pair in pairs} - exact),
        shown=len({pair.two for pair in pairs}),
        exact_pairs=sum(pair.exact for pair in pairs),
        near_pairs=sum(not pair.exact for pair in pairs),
    )


def people_across_splits(dataset: Dataset) -> dict[int, list[str]]:
    """The people, by their number, who stand in more than one split, with the names of these splits."""
    splits: dict[int, list[str]] = {}
    for name, source in dataset.splits.items():
        for person in np.unique(source.people[source.people != UNKNOWN]):
            splits.setdefault(int(person), []).append(name)
    return {person: names for person, names in splits.items() if len(names) > 1}


def counts_from_source(source: Source) -> dict[str, int]:
    """Pictures by expression, those with none of the eight, and those that the data set flags as copies."""
    labels = source.votes[source.labelled].argmax(1)
    classes = {label: int((labels == k).sum()) for k, label in enumerate(LABELS)}
    return classes | {"no label": int((~source.labelled).sum()), "flagged": int(source.flagged.sum())}


def audit(dataset: Dataset, near: float = MIN_CORRELATION) -> dict[str, object]:
    """Everything that the report says, ready for JSON; ``near``: the correlation of two copies."""
    seen: dict[str, Seen] = {}
    rows: dict[str, I64] = {}
    broken = dict(dataset.broken)
    for name, source in dataset.splits.items():
        seen[name], rows[name], unreadable = scan(source, name)
        broken |= unreadable
    pairs = pairs_from_splits(seen, rows, near)
    across = [pair for pair in pairs if pair.one[0] != pair.two[0]]
    counted = {
        f"{one} in {two}": [p for p in across if (p.one[0], p.two[0]) == (one, two)]
        for one, two in combinations(SPLITS, 2)
    }
    counted["train in valid or test"] = [pair for pair in across if pair.one[0] == "train"]
    within = {
        # The other way round, so that of several copies all but the first count.
        name: [Pair(p.two, p.one, p.exact, p.correlation) for p in pairs if p.one[0] == p.two[0] == name]
        for name in SPLITS
    }

    def labelled(pair: Pair) -> bool:
        return all(dataset.splits[split].labelled[row] for split, row in (pair.one, pair.two))

    return {
        "near": near,
        "pictures": {name: counts_from_source(source) for name, source in dataset.splits.items()},
        "across": {
            name: {
                "all pictures": asdict(shown_from_pairs(some)),
                "labelled pictures": asdict(shown_from_pairs(filter(labelled, some))),
            }
            for name, some in counted.items()
        },
        "within": {name: asdict(shown_from_pairs(some)) for name, some in within.items()},
        "people": people_across_splits(dataset),
        "broken": broken,
        "pairs": [_named(pair, dataset) for pair in across],
    }


def leaks(found: dict[str, object]) -> bool:
    """Whether an audit found anything that must be mended before training."""
    return bool(found["pairs"] or found["people"] or found["broken"])


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.audit", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument("--layout", default=AUTO, help=f"{AUTO} or one of {', '.join(LAYOUTS)}")
    parser.add_argument("--json", type=Path, help="file for the whole report")
    parser.add_argument("--near", type=float, default=MIN_CORRELATION, help=NEAR_HELP)
    args = parser.parse_args(arguments)
    try:
        found = audit(read(args.data, args.layout), args.near)
        if args.json:
            args.json.write_text(json.dumps(found, indent=2) + "\n")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(text_from_audit(found))
    return int(leaks(found))


def _named(pair: Pair, dataset: Dataset) -> dict[str, object]:
    sides = [f"{split}: {dataset.splits[split].names[row]}" for split, row in (pair.one, pair.two)]
    return {"pictures": sides, "exact": pair.exact, "correlation": round(pair.correlation, 4)}


if __name__ == "__main__":
    sys.exit(main())
