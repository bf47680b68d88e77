"""Makes new marks of the detector's data: ``python -m training.mark_faces FOLDER --out FOLDER2``.

FOLDER holds ``faces-*.npz`` and ``detections.npz``, what three detectors find in every picture. Writes
``marks.npz`` for ``--marks`` of training.train_detector and training.evaluate_detector, and prints how noisy
the detectors are and how the marks came about. ``--detect YUNET CENTERFACE RETINAFACE`` makes the detections
again from the ONNX files (about 0.3 s a picture on one core) and writes them beside the marks; with ``--check
200`` it only compares those of 200 pictures with the stored ones.
"""

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32, F64
from fer_edge.atomic_file import atomic_write
from training.command_line import exit_on_error
from training.detector.detections import agreement, detect_all, read_detections, write_detections
from training.detector.marks import (
    DETECTORS,
    OLD,
    Detected,
    Groups,
    Marks,
    certain,
    concatenate,
    confirmations,
    differences,
    group,
    merged,
    variances,
)
from training.detector.photos import TRUE_SCORE
from training.evaluation.markdown import table

NAMES = (*DETECTORS, "old mark")
SIZES = ((0, 12), (12, 24), (24, 48), (48, np.inf))  # px, smaller side of the box


@dataclass(frozen=True, slots=True)
class OldMarks:
    """What the packs say: ``faces`` f32 [m, 15], ``face_offset`` i64 [n+1], ``negative`` bool [n], and the
    number of the first picture of each pack, ``first`` i64 [packs].
    """

    faces: F32
    face_offset: NDArray[np.int64]
    negative: NDArray[np.bool_]
    first: NDArray[np.int64]


def read_old_marks(folder: Path) -> OldMarks:
    """The marks in ``faces-*.npz``, without the pictures.

    Raises FileNotFoundError when the folder holds no such file.
    """
    files = sorted(folder.glob("faces-*.npz"))
    if not files:
        raise FileNotFoundError(f"{folder} must hold faces-*.npz; found none")
    faces, offsets, negative = [], [np.zeros(1, np.int64)], []
    for file in files:
        with np.load(file) as packed:
            offsets.append(packed["face_offset"][1:].astype(np.int64) + offsets[-1][-1])
            faces.append(packed["faces"])
            negative.append(packed["negative"])
    first = np.cumsum([0, *map(len, negative[:-1])])
    return OldMarks(np.concatenate(faces), np.concatenate(offsets), np.concatenate(negative), first)


def group_all(old: OldMarks, detections: Path) -> Groups:
    """Groups the marks and detections of every picture.

    Raises ValueError when the detections name other detectors, or pictures that are not in the packs.
    """
    data = read_detections(detections)
    picture = old.first[data["pack"]] + data["picture"]
    order, pictures = np.argsort(picture, kind="stable"), len(old.negative)
    if len(picture) and picture.max() >= pictures:
        raise ValueError(f"{detections} must be of these {pictures} pictures, got picture {picture.max()}")
    bounds = np.searchsorted(picture[order], np.arange(pictures + 1))
    columns = {n: data[n][order] for n in ("detector", "score", "box", "landmarks")}
    columns["score"] = columns["score"].astype(np.float32)
    groups = []
    for k in range(pictures):
        rows = slice(bounds[k], bounds[k + 1])
        faces = old.faces[old.face_offset[k] : old.face_offset[k + 1]]
        if len(faces) or bounds[k + 1] > bounds[k]:
            found = Detected(*(columns[n][rows] for n in ("detector", "score", "box", "landmarks")))
            groups.append(group(found, faces, bool(old.negative[k]), k))
    return concatenate(groups)


def noise_report(groups: Groups, variance: F64) -> str:
    """The pairs' differences and each one's noise in Markdown."""
    rows = [
        {
            "pair": f"{NAMES[a]}, {NAMES[b]}",
            "faces": f"{len(box)}",
            "box corners, median": f"{np.median(box):.1%}",
            "landmarks, median": f"{np.median(points):.1%}",
            "landmarks, 90th percentile": f"{np.quantile(points, 0.9):.1%}",
        }
        for (a, b), (box, points) in differences(groups).items()
    ]
    alone = [
        {"estimate": name, "box noise": f"{noise[0]:.1%}", "landmark noise": f"{noise[1]:.1%}"}
        for name, noise in zip(NAMES, np.sqrt(variance), strict=True)
    ]
    return f"{table(rows)}\n{table(alone)}"


def agreement_report(marks: Marks) -> str:
    """How many marks of each kind there are, by size, and which detectors confirm them, in Markdown."""
    scores, side = marks.scores, marks.faces[:, 2:4].min(axis=1)
    sure, old = certain(scores), scores[:, OLD]
    kinds = {
        "certain before": old >= TRUE_SCORE,
        "promoted": sure & (old > 0) & (old < TRUE_SCORE),
        "new, certain": sure & (old == 0),
        "ignored before and now": ~sure & (old > 0),
        "new, ignored": ~sure & (old == 0),
    }
    rows = []
    for kind, chosen in kinds.items():
        row = {"marks": kind, "all": f"{chosen.sum()}"}
        for low, high in SIZES:
            name = f"{low} to {high} px" if np.isfinite(high) else f"{low} px up"
            row[name] = f"{(chosen & (side >= low) & (side < high)).sum()}"
        for k, name in enumerate(DETECTORS):
            row[f"seen by {name}"] = f"{(scores[chosen, k] > 0).mean() if chosen.any() else 0:.0%}"
        rows.append(row)
    return table(rows)


def write_marks(path: Path, marks: Marks, detections: Path) -> None:
    """Writes marks.npz."""
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            faces=marks.faces,
            face_offset=marks.face_offset,
            scores=marks.scores,
            confirmations=confirmations(marks.scores).astype(np.uint8),
            detections_sha256=np.array(hashlib.sha256(detections.read_bytes()).hexdigest()),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of faces-*.npz")
    parser.add_argument("--detections", type=Path, help="default: FOLDER/detections.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for marks.npz")
    parser.add_argument(
        "--detect",
        type=Path,
        nargs=len(DETECTORS),
        metavar=tuple(name.upper() for name in DETECTORS),
        help="ONNX files with which the detections are made again",
    )
    parser.add_argument("--check", type=int, metavar="N", help="only compare the detections of N pictures")
    args = parser.parse_args()
    if args.check is not None and not args.detect:
        parser.error("--check needs the ONNX files: --detect YUNET CENTERFACE RETINAFACE")
    detections = args.detections or args.folder / "detections.npz"
    cv2.setNumThreads(1)
    with exit_on_error(parser):
        if args.check is not None:
            new, stored = detect_all(args.folder, args.detect, args.check), read_detections(detections)
            rows = [{"detector": n, **agreement(new, stored, k)} for k, n in enumerate(DETECTORS)]
            print(table(rows))
            return
        args.out.mkdir(parents=True, exist_ok=True)
        if args.detect:
            detections = args.out / "detections.npz"
            write_detections(detections, detect_all(args.folder, args.detect))
        old = read_old_marks(args.folder)
        groups = group_all(old, detections)
        variance = variances(differences(groups))
        marks = merged(groups, variance, len(old.negative))
        write_marks(args.out / "marks.npz", marks, detections)
    print(noise_report(groups, variance))
    print(agreement_report(marks))


if __name__ == "__main__":
    main()
