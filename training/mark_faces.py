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

from fer_edge.arrays import F32
from fer_edge.atomic_file import atomic_write
from training.command_line import exit_on_error
from training.detector.detections import (
    agreement,
    detect_all,
    read_detections,
    split_by_picture,
    write_detections,
)
from training.detector.mark_report import agreement_report, noise_report
from training.detector.marks import (
    DETECTORS,
    Groups,
    Marks,
    concatenate,
    confirmations,
    differences,
    group,
    merged,
    variances,
)
from training.evaluation.markdown import table


@dataclass(frozen=True, slots=True)
class OldMarks:
    """What the packs say: ``faces`` f32 [m, 15], ``face_offset`` i64 [n+1] and ``negative`` bool [n]."""

    faces: F32
    face_offset: NDArray[np.int64]
    negative: NDArray[np.bool_]


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
    return OldMarks(np.concatenate(faces), np.concatenate(offsets), np.concatenate(negative))


def group_all(folder: Path, old: OldMarks, detections: Path) -> Groups:
    """Groups the marks and detections of every picture.

    Raises ValueError when the detections name other detectors, or pictures that are not in the packs.
    """
    groups = []
    for k, found in enumerate(split_by_picture(read_detections(detections), folder)):
        faces = old.faces[old.face_offset[k] : old.face_offset[k + 1]]
        if len(faces) or len(found.scores):
            groups.append(group(found, faces, bool(old.negative[k]), k))
    return concatenate(groups)


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
        groups = group_all(args.folder, old, detections)
        variance = variances(differences(groups))
        marks = merged(groups, variance, len(old.negative))
        write_marks(args.out / "marks.npz", marks, detections)
    print(noise_report(groups, variance))
    print(agreement_report(marks.faces, marks.scores))


if __name__ == "__main__":
    main()
