"""Landmark errors of several detectors on the same faces, against means of the teachers.

A teacher cannot be judged by its own landmarks. So each teacher, and every other detector beside it, is
measured against the mean of the other teachers. The mean of all is the best truth; it favours the teachers,
because each of them is a part of it.
"""

from collections.abc import Sequence

import numpy as np

from fer_edge.arrays import F32, F64
from training.detector.marks import DETECTORS, FRONTAL, OLD, Detected, group, sizes
from training.detector.photos import Photo

SMALLEST = 24.0  # px; root of the area of a box
ALL = "all"
TRUTHS = {f"others than {name}": [k for k in range(OLD) if k != n] for n, name in enumerate(DETECTORS)} | {
    ALL: list(range(OLD))
}


class LandmarkErrors:
    """Collects the errors of ``columns`` on near-frontal faces that all of them and all teachers found."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.errors: dict[str, dict[str, list[float]]] = {
            truth: {c: [] for c in columns if truth == ALL or c not in [DETECTORS[k] for k in members]}
            for truth, members in TRUTHS.items()
        }

    def add_picture(self, photo: Photo, found: dict[str, F32], teachers: Detected) -> None:
        """Adds the certain faces of a picture.

        ``found`` holds landmarks f32 [g, 5, 2] of each column for the g certain faces, NaN for missed ones;
        ``teachers`` what the teachers see in the enlarged picture.
        """
        truth = teachers_landmarks(photo, teachers)
        size = sizes(photo.boxes[photo.certain])
        with np.errstate(invalid="ignore"):
            eyes = np.linalg.norm((truth[:, :, 0] - truth[:, :, 1]).mean(axis=1), axis=-1)
            chosen = (size >= SMALLEST) & (eyes >= FRONTAL * size)
        for landmarks in found.values():
            chosen &= np.isfinite(landmarks).all(axis=(1, 2))
        for name, members in TRUTHS.items():
            mean = truth[chosen][:, members].mean(axis=1)
            for column, errors in self.errors[name].items():
                errors += eye_distance_errors(found[column][chosen], mean).tolist()

    def summary(self) -> dict[str, dict[str, float]]:
        """For each truth and column: "COLUMN median", "COLUMN p90" in shares of the eye distance, "faces"."""
        result = {}
        for truth, columns in self.errors.items():
            row: dict[str, float] = {"faces": max(map(len, columns.values()), default=0)}
            for column, errors in columns.items():
                row[f"{column} median"] = float(np.median(errors)) if errors else np.nan
                row[f"{column} p90"] = float(np.quantile(errors, 0.9)) if errors else np.nan
            result[truth] = row
        return result


def teachers_landmarks(photo: Photo, teachers: Detected) -> F32:
    """What each teacher says of the certain faces of a picture: f32 [g, 3, 5, 2], NaN where it sees none."""
    boxes, points = photo.boxes[photo.certain], photo.landmarks[photo.certain]
    score = np.ones((len(boxes), 1), np.float32)
    faces = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], points.reshape(-1, 10), score], axis=1)
    # The marks are the first groups, in their order, because all have the same score.
    landmarks: F32 = group(teachers, faces, photo.negative, 0).landmarks[: len(boxes), :OLD]
    return landmarks


def eye_distance_errors(found: F32, true: F32) -> F64:
    """Mean distance of the five points [n, 5, 2] over the eye distance, [n]."""
    eyes = np.linalg.norm(true[:, 0] - true[:, 1], axis=-1)
    errors: F64 = np.linalg.norm(found - true, axis=-1).mean(axis=1) / eyes
    return errors
