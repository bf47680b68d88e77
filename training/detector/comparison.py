"""Several detectors on the same labelled pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fer_edge.arrays import F32, U8
from fer_edge.result import Detections
from training.detector.landmark_errors import LandmarkErrors
from training.detector.marks import SAME, Detected
from training.detector.metrics import DetectionCounts, iou
from training.detector.photos import Photo

MAYBE_FACE = 0.5  # score of any teacher from which a detection is no false alarm

DetectFunction = Callable[[U8, float], Detections]  # of a plane at a scale, in pixels of the plane


@dataclass(frozen=True, slots=True)
class Pictures:
    """Labelled pictures, with what the teachers see in each of them, enlarged."""

    photos: Sequence[Photo]
    seen: Sequence[Detected]  # of all pictures; a photo's number is the index


def doubtful(photo: Photo, seen: Detected) -> F32:
    """Regions [k, 4] where a detection counts for nothing: ignored marks, and what a teacher may have seen
    where there is no mark.
    """
    maybe = seen.boxes[seen.scores >= MAYBE_FACE]
    if photo.negative:
        return photo.boxes[~photo.certain]
    unmarked = iou(maybe, photo.boxes).max(axis=1, initial=0) < SAME
    return np.concatenate([photo.boxes[~photo.certain], maybe[unmarked]])


def count_detections(
    pictures: Pictures, columns: dict[str, tuple[DetectFunction, float]], scale: float
) -> tuple[dict[str, DetectionCounts], LandmarkErrors]:
    """Counts the results of detectors over labelled pictures, at ``scale`` times their size.

    ``columns`` holds each detector with the score from which its landmarks are compared.
    """
    counts, errors = {name: DetectionCounts() for name in columns}, LandmarkErrors(list(columns))
    for photo in pictures.photos:
        seen, certain = pictures.seen[photo.number], photo.certain
        landmarks = {}
        for name, (detect, threshold) in columns.items():
            found = detect(photo.image, scale)
            match = counts[name].add_picture(
                found, photo.boxes[certain], photo.landmarks[certain], doubtful(photo, seen), photo.negative
            )
            points = np.full((len(match), 5, 2), np.nan, np.float32)
            hit = match >= 0
            hit[hit] = found.scores[match[hit]] >= threshold
            points[hit] = found.landmarks[match[hit]]
            landmarks[name] = points
        errors.add_picture(photo, landmarks, seen)
    return counts, errors
