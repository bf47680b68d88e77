"""What a finer search finds and costs: ``python -m training.evaluate_search MODEL.onnx --data DATA --marks
marks.npz --out OUT.json``.

DATA holds ``faces-*.npz`` and ``detections.npz``. The test photographs are searched as mosaics of 4 x 4
(training.detector.mosaics), which stand for photographs of groups. A search is given by the smallest face as
a share of the long side. For each search: recall by the face's share of the long side, false alarms, time.
Large faces of the same photographs, resized, show the range of sizes that one pass of the network finds
(fer_edge.detection.scales.NETWORK_FACE_PX). Writes a JSON file and prints both tables.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_edge import models
from fer_edge.arrays import F32, U8
from fer_edge.backends import opener_for
from fer_edge.backends.base import Backend
from fer_edge.benchmark.measure.context import context
from fer_edge.detection.detect import Detector, detect_at_scale
from fer_edge.models import ModelSpec
from training.command_line import exit_on_error
from training.detector.comparison import Pictures
from training.detector.detections import read_detections, split_by_picture
from training.detector.metrics import MATCH, DetectionCounts, iou
from training.detector.mosaics import mosaics
from training.detector.photos import Photo, load_photos
from training.evaluation.markdown import table

SIDE = 4  # photographs along each side of a mosaic
SHARES = (20, 30, 40, 60, 80)  # the smallest face is one of so many parts of the long side
# Of the face's smaller side in the long side, in percent.
SIZES = ((1.25, 2.5), (2.5, 5.0), (5.0, 10.0), (10.0, 100.0))
MAX_FACES = 1000
# Of a face's smaller side in the network's input, in px: from half the smallest of NETWORK_FACE_PX to twice
# the largest.
SIDES = (8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 144, 176, 208, 256, 288)
MIN_RESIZED = 60.0  # px; smaller faces show too little to be enlarged
# An enlarged photograph is cut to so many faces' sides around the face, so that the input stays small.
CUT_TO = 3.0


def search(detector: Detector, photos: Sequence[Photo], threshold: float) -> dict[str, Any]:
    """Recall by size, false alarms per photograph and median time of one search."""
    counts, times = DetectionCounts(), []
    for photo in photos:
        start = time.perf_counter()
        found = detector(photo.image)
        times.append((time.perf_counter() - start) * 1e3)
        certain = photo.certain
        counts.add_picture(
            found, photo.boxes[certain], photo.landmarks[certain], photo.boxes[~certain], photo.negative
        )
    sizes = np.array(counts.sizes) * 100 / max(photos[0].image.shape)
    is_found = np.array(counts.face_scores) >= threshold
    result: dict[str, Any] = {}
    for low, high in SIZES:
        which = (sizes >= low) & (sizes < high)
        result[f"recall_{low:g}_{high:g}"] = float(is_found[which].mean()) if which.any() else None
        result[f"faces_{low:g}_{high:g}"] = int(which.sum())
    result["precision"] = float(is_found.sum() / max(1, is_found.sum() + len(counts.false_positives)))
    result["false_alarms_per_photo"] = len(counts.false_positives) / len(photos)
    result["milliseconds"] = float(np.median(times))
    return result


def recall_by_side(
    backend: Backend, spec: ModelSpec, photos: Sequence[Photo], threshold: float
) -> list[dict[str, float | None]]:
    """Share of the large faces that one pass finds, by the smaller side that they have in its input; None if
    there are none.
    """
    faces = [
        (photo.image, box, (box[2:] - box[:2]).min())
        for photo in photos
        for box in photo.boxes[photo.certain]
        if (box[2:] - box[:2]).min() >= MIN_RESIZED
    ]
    rows: list[dict[str, float | None]] = []
    for side in SIDES:
        found = [_is_found(backend, spec, image, box, side / own, threshold) for image, box, own in faces]
        rows.append({"side": side, "recall": float(np.mean(found)) if found else None, "faces": len(found)})
    return rows


def _is_found(
    backend: Backend, spec: ModelSpec, image: U8, box: F32, factor: float, threshold: float
) -> bool:
    """True if a pass over a photograph, resized by ``factor``, finds the face."""
    if factor > 1:
        reach = CUT_TO / 2 * (box[2:] - box[:2]).max()
        middle, limit = (box[:2] + box[2:]) / 2, image.shape[::-1]
        (x0, y0), (x1, y1) = (np.clip(middle + way * reach, 0, limit).astype(int) for way in (-1, 1))
        image = cv2.resize(image[y0:y1, x0:x1], None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        box, factor = (box - np.array([x0, y0, x0, y0])) * factor, 1.0
    found = detect_at_scale(backend, spec, image, factor, threshold=threshold)
    return bool((iou(found.boxes, box[None].astype(np.float32)) >= MATCH).any())


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """All searches, as in the JSON file."""
    model = models.load(args.model, "detector")
    backend = opener_for("onnxruntime")(model, 1)
    threshold = model.spec.threshold
    seen = split_by_picture(read_detections(args.data / "detections.npz"), args.data)
    single = load_photos(args.data, "test", args.marks)
    photos = list(mosaics(Pictures(single, seen), SIDE))
    if not photos:
        raise ValueError(f"{args.data} must hold at least {SIDE * SIDE} test photographs for a mosaic")
    searches = {}
    for parts in SHARES:
        detector = Detector(
            backend,
            model.spec,
            threshold=threshold,
            min_face=None,
            max_faces=MAX_FACES,
            min_face_share=1 / parts,
        )
        detector(photos[0].image)  # buffers grow outside the measured time
        searches[str(parts)] = search(detector, photos, threshold)
    return {
        "context": context(),
        "graph_sha256": model.graph_sha256,
        "photos": len(photos),
        "long_px": max(photos[0].image.shape),
        "searches": searches,
        "by_side": recall_by_side(backend, model.spec, single, threshold),
    }


def report(metrics: dict[str, Any]) -> str:
    """One row for each search, and one for each side of a face in the network's input."""
    rows = [{"smallest face": f"1/{parts}", **row} for parts, row in metrics["searches"].items()]
    return f"{table(rows)}\n{table(metrics['by_side'])}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="embedded name or ONNX file of the detector")
    parser.add_argument("--data", type=Path, required=True, help="folder of faces-*.npz and detections.npz")
    parser.add_argument("--marks", type=Path, help="marks.npz of training.mark_faces")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the result")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with exit_on_error(parser):
        metrics = evaluate(args)
        args.out.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(report(metrics))


if __name__ == "__main__":
    main()
