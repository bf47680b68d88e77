"""Prepares a data set once: leaves out copies, finds five landmarks with the runtime's detector, cuts a
square around each face, and stores the result.

``python -m training.prepare DATA --out runs/ferplus``; ``--layout`` names the layout of DATA where it is not
found by itself. FER+ keeps its 48 px pictures; larger pictures are cut to ``--side`` px. prepare.json says
what could not be read and how many copies were left out.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fer_edge import models
from fer_edge.arrays import I64
from fer_edge.backends import opener_for
from fer_edge.detection.detect import Detector
from training.command_line import exit_on_error
from training.data.dedup import (
    MIN_CORRELATION,
    MIN_CORRELATION_HELP,
    SIDE,
    Fingerprints,
    check_min_correlation,
    digest_from_luma,
    duplicates_between,
    thumbnail_from_luma,
)
from training.data.face_crop import landmarks_in_tight_picture, square_from_picture
from training.data.pictures import Dataset, Source, UnreadablePicture
from training.data.readers import AUTO, LAYOUTS, read
from training.data.split import SPLITS, Split, save

THRESHOLD = 0.3  # nearly every picture shows a face, so a doubtful detection is better than none
SIDES = (32, 1024)  # px, smallest and largest
SHOWN = 10  # broken files that are printed; prepare.json has all


def open_detector(name: str) -> Detector:
    """The runtime's detector, by the name of an embedded model or the path of an ONNX file."""
    model = models.load(name, "detector")
    backend = opener_for("onnxruntime")(model, 1)
    return Detector(backend, model.spec, threshold=THRESHOLD, min_face=None, max_faces=8)


def split_from_source(
    source: Source, name: str, side: int, tight: bool, detect: Detector
) -> tuple[Split, Fingerprints, dict[str, str]]:
    """Reads and cuts the usable rows; returns them, their fingerprints, and the unreadable pictures with
    reasons.

    ``tight`` pictures show one face of ``side`` px each and stay as they are.
    """
    usable = source.usable
    images = np.empty((len(usable), side, side), np.uint8)
    landmarks = np.empty((len(usable), 5, 2), np.float32)
    thumbnails = np.empty((len(usable), SIDE, SIDE), np.uint8)
    digests, broken = [], {}
    read_rows = np.ones(len(usable), bool)
    for k, row in enumerate(tqdm(usable, desc=name, mininterval=5)):
        luma = source.luma(row)
        if isinstance(luma, UnreadablePicture):
            broken[source.names[row]] = luma.reason
            digests.append(b"")
            read_rows[k] = False
            continue
        if tight:
            images[k], landmarks[k] = luma, landmarks_in_tight_picture(luma, detect)
        else:
            images[k], landmarks[k] = square_from_picture(luma, side, detect)
        thumbnails[k] = thumbnail_from_luma(luma)
        digests.append(digest_from_luma(luma))
    columns = (source.votes, source.single, source.rows, source.people)
    split = Split(images, *(column[usable] for column in columns), landmarks)
    kept = np.flatnonzero(read_rows)
    return split.take(kept), Fingerprints(thumbnails, digests, source.people[usable]).take(kept), broken


def kept_rows(fingerprints: dict[str, Fingerprints], min_correlation: float) -> dict[str, I64]:
    """The rows of each split without copies of held-out pictures: valid without test's, train without
    either's.
    """
    kept = {}
    for place, name in enumerate(SPLITS):
        leaks = {
            copy.row
            for other in SPLITS[place + 1 :]
            for copy in duplicates_between(fingerprints[name], fingerprints[other], min_correlation)
        }
        kept[name] = np.array(
            [k for k in range(len(fingerprints[name].thumbnails)) if k not in leaks], np.int64
        )
    return kept


def prepare(
    dataset: Dataset, out: Path, side: int, detect: Detector, min_correlation: float = MIN_CORRELATION
) -> dict[str, object]:
    """Writes train.npz, valid.npz, test.npz and prepare.json; returns the content of prepare.json.

    ``min_correlation`` as in `duplicates_between`.

    Raises:
        ValueError: ``min_correlation`` is out of its range, or no picture of a split is left.
    """
    check_min_correlation(min_correlation)
    out.mkdir(parents=True, exist_ok=True)
    splits: dict[str, Split] = {}
    fingerprints: dict[str, Fingerprints] = {}
    broken = dict(dataset.broken)
    for name, source in dataset.splits.items():
        splits[name], fingerprints[name], unreadable = split_from_source(
            source, name, dataset.side or side, dataset.side is not None, detect
        )
        broken |= unreadable
    kept = kept_rows(fingerprints, min_correlation)
    if empty := [name for name in SPLITS if not len(kept[name])]:
        first = "".join(f"; {name}: {reason}" for name, reason in [*broken.items()][:SHOWN])
        raise ValueError(
            f"every split must keep a readable picture without a copy in another split, got none for "
            f"{', '.join(empty)}; run python -m training.audit on the data and fix it, or give "
            f"--min-correlation 0.95, which finds fewer copies{first}"
        )
    counts = {}
    for name in SPLITS:
        split = splits[name].take(kept[name])
        save(split, out / f"{name}.npz")
        counts[name] = {
            "rows": len(split),
            "copies_left_out": len(splits[name]) - len(split),
            "faces_found": int(split.found.sum()),
        }
    report = {
        "side": dataset.side or side,
        "min_correlation": min_correlation,
        "splits": counts,
        "broken": broken,
    }
    (out / "prepare.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.prepare", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for train.npz, valid.npz and test.npz"
    )
    parser.add_argument("--layout", default=AUTO, help=f"{AUTO} or one of {', '.join(LAYOUTS)}")
    parser.add_argument("--side", type=int, default=96, help="px of the squares; FER+ keeps 48")
    parser.add_argument(
        "--detector", default="face-luma", help="name of an embedded model or path of an ONNX file"
    )
    parser.add_argument("--min-correlation", type=float, default=MIN_CORRELATION, help=MIN_CORRELATION_HELP)
    args = parser.parse_args(arguments)
    if not SIDES[0] <= args.side <= SIDES[1]:
        parser.error(f"--side must be from {SIDES[0]} to {SIDES[1]} px, got {args.side}")
    with exit_on_error(parser):
        dataset = read(args.data, args.layout)
        report = prepare(dataset, args.out, args.side, open_detector(args.detector), args.min_correlation)
    for name, count in report["splits"].items():
        print(
            f"{name}: {count['rows']} rows, a face found in {count['faces_found'] / count['rows']:.1%}, "
            f"{count['copies_left_out']} copies of held-out pictures left out"
        )
    if broken := report["broken"]:
        print(f"{len(broken)} files or lines could not be read (all are in {args.out / 'prepare.json'}):")
        for name, reason in [*broken.items()][:SHOWN]:
            print(f"  {name}: {reason}")


if __name__ == "__main__":
    main()
