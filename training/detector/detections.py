"""What the teachers find in the detector's pictures: to make, to read and to compare ``detections.npz``.

The file holds one row a detection: ``pack`` u8 and ``picture`` u16 (number in the pack), ``detector`` u8
(index into ``detector_names``), ``score`` f16, ``box`` f32 [4] xyxy and ``landmarks`` f32 [5, 2] in pixels of
the packed picture. Pictures are enlarged twice, because the teachers miss most faces below 12 px.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fer_edge.arrays import U8
from fer_edge.atomic_file import atomic_write
from training.detector.marks import DETECTORS, Detected
from training.detector.metrics import iou
from training.detector.teachers import TEACHERS

MIN_SCORE = 0.3  # of the rows that are kept
ENLARGEMENT = 2.0
SAME_ROW = 0.9  # intersection over union of two runs' boxes of the same detection

Rows = dict[str, NDArray[Any]]


def detect_all(folder: Path, models: Sequence[Path], pictures: int | None = None) -> Rows:
    """Runs the three detectors of DETECTORS over the pictures of ``faces-*.npz``, or over ``pictures`` of
    them at equal distances.

    Raises FileNotFoundError when the folder holds no such file.
    """
    detectors = [TEACHERS[n](path, MIN_SCORE) for n, path in zip(DETECTORS, models, strict=True)]
    names = ("pack", "picture", "detector", "score", "box", "landmarks")
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    places = _places(folder)
    if pictures is not None:
        places = [places[k] for k in np.linspace(0, len(places) - 1, min(pictures, len(places))).astype(int)]
    for (pack, picture), image in tqdm(_images(folder, places), total=len(places), mininterval=5):
        for number, detector in enumerate(detectors):
            found = detector(image, ENLARGEMENT)
            count = len(found.scores)
            columns["pack"].append(np.full(count, pack, np.uint8))
            columns["picture"].append(np.full(count, picture, np.uint16))
            columns["detector"].append(np.full(count, number, np.uint8))
            columns["score"].append(found.scores.astype(np.float16))
            columns["box"].append(found.boxes)
            columns["landmarks"].append(found.landmarks)
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def write_detections(path: Path, rows: Rows) -> None:
    """Writes detections.npz."""
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **rows, detector_names=np.array(DETECTORS))


def read_detections(path: Path) -> Rows:
    """Reads detections.npz; raises ValueError when it is of other detectors."""
    with np.load(path) as packed:
        rows = {name: packed[name] for name in packed.files}
    names = tuple(rows.pop("detector_names").tolist())
    if names != DETECTORS:
        raise ValueError(f"{path} must be of the detectors {DETECTORS}, got {names}")
    return rows


def split_by_picture(rows: Rows, folder: Path) -> list[Detected]:
    """The detections of each picture of ``faces-*.npz``, in file order.

    Raises ValueError when there are detections of other pictures.
    """
    sizes = np.bincount([pack for pack, _ in _places(folder)])
    known = (rows["pack"] < len(sizes)) & (rows["picture"] < sizes[np.minimum(rows["pack"], len(sizes) - 1)])
    if not known.all():
        pack, picture = (int(rows[name][~known][0]) for name in ("pack", "picture"))
        raise ValueError(f"the detections must be of the pictures in {folder}, got {picture} of pack {pack}")
    number = np.concatenate([[0], np.cumsum(sizes)])[rows["pack"]] + rows["picture"]
    order = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[order], np.arange(sizes.sum() + 1))
    columns = [rows[name][order] for name in ("detector", "score", "box", "landmarks")]
    columns[1] = columns[1].astype(np.float32)
    return [Detected(*(c[a:b] for c in columns)) for a, b in pairwise(bounds)]


def agreement(new: Rows, stored: Rows, detector: int) -> dict[str, float]:
    """How many of a detector's rows of both runs have a partner of the other run, and the largest differences
    of their scores and points (px); over the pictures of the new run.
    """
    key_new, key_stored = _keys(new), _keys(stored)
    shown = np.isin(key_stored, key_new) & (stored["detector"] == detector)
    own = new["detector"] == detector
    pairs, scores, points = 0, [0.0], [0.0]
    for key in np.unique(key_new[own]):
        a, b = np.flatnonzero(own & (key_new == key)), np.flatnonzero(shown & (key_stored == key))
        same = iou(new["box"][a], stored["box"][b]) >= SAME_ROW
        for i, j in zip(*np.nonzero(same), strict=True):
            pairs += 1
            scores.append(abs(float(new["score"][a[i]]) - float(stored["score"][b[j]])))
            points.append(float(np.abs(new["landmarks"][a[i]] - stored["landmarks"][b[j]]).max()))
    return {
        "new": int(own.sum()),
        "stored": int(shown.sum()),
        "pairs": pairs,
        "largest score difference": max(scores),
        "largest landmark difference, px": max(points),
    }


def _keys(rows: Rows) -> NDArray[np.int64]:
    keys: NDArray[np.int64] = rows["pack"].astype(np.int64) << 16 | rows["picture"]
    return keys


def _places(folder: Path) -> list[tuple[int, int]]:
    """(pack, number) of each picture."""
    files = sorted(folder.glob("faces-*.npz"))
    if not files:
        raise FileNotFoundError(f"{folder} must hold faces-*.npz; found none")
    places = []
    for pack, file in enumerate(files):
        with np.load(file) as packed:
            places += [(pack, k) for k in range(len(packed["jpeg_offset"]) - 1)]
    return places


def _images(folder: Path, places: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], U8]]:
    files, loaded, data = sorted(folder.glob("faces-*.npz")), -1, {}
    for pack, k in places:
        if pack != loaded:
            with np.load(files[pack]) as packed:
                loaded, data = pack, {n: packed[n] for n in ("jpeg", "jpeg_offset")}
        start, end = data["jpeg_offset"][k : k + 2]
        image = cv2.imdecode(data["jpeg"][start:end], cv2.IMREAD_GRAYSCALE)
        yield (pack, k), np.asarray(image, np.uint8)
