"""Detections against true faces: recall by size, precision, false positives, landmark error."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32
from fer_edge.result import Detections

MATCH = 0.5  # intersection over union
COVERED = 0.5  # share of a detection inside an ignored region from which the detection is ignored
SMALLEST = 10.0  # px; smaller true faces are ignored
SIZES = ((10, 16), (16, 32), (32, 64), (64, np.inf), (12, 24), (24, np.inf))  # px, smaller side of the box


@dataclass(slots=True)
class DetectionCounts:
    """Counts over pictures, with scores, so that metrics can be computed for any threshold."""

    sizes: list[float] = field(default_factory=list)  # of each true face
    # Of each true face's detection: its score, and the error of its landmarks as a share of the eye distance;
    # 0 and NaN when missed.
    face_scores: list[float] = field(default_factory=list)
    landmark_errors: list[float] = field(default_factory=list)
    false_positives: list[float] = field(default_factory=list)  # scores of detections that are no face
    false_positives_without_face: list[float] = field(
        default_factory=list
    )  # of these, in pictures without any face
    empty_pictures: int = 0
    pictures: int = 0

    def add_picture(
        self,
        found: Detections,
        boxes: F32,
        landmarks: F32,
        ignored: F32,
        empty: bool,
    ) -> NDArray[np.int64]:
        """Counts one picture: true faces [g, 4] and [g, 5, 2], ignored regions [k, 4]; ``empty``: certainly
        no face.

        Returns the number of each true face's detection, -1 when it was missed.
        """
        self.pictures += 1
        self.empty_pictures += empty
        size = (boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf)
        small = size < SMALLEST
        overlap, free = iou(found.boxes, boxes), np.ones(len(boxes), bool)
        best, match = np.zeros(len(boxes)), np.full(len(boxes), -1)
        errors = np.full(len(boxes), np.nan)
        for k, score in enumerate(found.scores):
            candidates = np.where(free, overlap[k], 0)
            if len(boxes) and candidates.max() >= MATCH:
                face = int(candidates.argmax())
                free[face], best[face], match[face] = False, score, k
                errors[face] = _landmark_error(found.landmarks[k], landmarks[face])
            elif not _covered(found.boxes[k], ignored):
                self.false_positives.append(float(score))
                if empty:
                    self.false_positives_without_face.append(float(score))
        self.sizes += size[~small].tolist()
        self.face_scores += best[~small].tolist()
        self.landmark_errors += errors[~small].tolist()
        return match

    def metrics_at(self, threshold: float) -> dict[str, float]:
        """The metrics at one threshold."""
        sizes, found = np.array(self.sizes), np.array(self.face_scores) >= threshold
        false_positives = int((np.array(self.false_positives) >= threshold).sum())
        result = {
            "threshold": threshold,
            "precision": float(found.sum() / max(1, found.sum() + false_positives)),
        }
        for low, high in SIZES:
            which = (sizes >= low) & (sizes < high)
            name = f"recall_{low}_{high}" if np.isfinite(high) else f"recall_{low}_up"
            result[name] = float(found[which].mean()) if which.any() else float("nan")
            result[name.replace("recall", "faces")] = int(which.sum())
        false = int((np.array(self.false_positives_without_face) >= threshold).sum())
        result["false_positives_per_empty_picture"] = false / max(1, self.empty_pictures)
        errors = np.array(self.landmark_errors)[found]
        result["landmark_error_median"] = float(np.median(errors)) if len(errors) else np.nan
        return result


def iou(a: F32, b: F32) -> F32:
    """[n, 4] and [m, 4] -> [n, m]."""
    shared = _shared(a, b)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    union: F32 = np.maximum(area_a[:, None] + area_b - shared, 1e-6)
    return shared / union


def _shared(a: F32, b: F32) -> F32:
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    shared: F32 = np.clip(high - low, 0, None).prod(-1)
    return shared


def _covered(box: F32, regions: F32) -> bool:
    if not len(regions):
        return False
    area = float(np.prod(box[2:] - box[:2]))
    shared = _shared(box[None], regions)[0]
    return bool((shared >= COVERED * max(area, 1e-6)).any() or (iou(box[None], regions) >= MATCH).any())


def _landmark_error(found: F32, true: F32) -> float:
    """Mean distance of the five points over the eye distance; in profiles, where the eyes nearly coincide,
    over half the distance from eyes to mouth.
    """
    eyes = np.linalg.norm(true[0] - true[1])
    height = np.linalg.norm(true[:2].mean(0) - true[3:].mean(0))
    return float(np.linalg.norm(found - true, axis=1).mean() / max(eyes, height / 2, 1e-6))
