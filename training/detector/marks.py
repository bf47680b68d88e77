"""New marks of the faces from the detections of several detectors, as plain arrays.

The old marks come from one detector, YuNet. Three detectors (YuNet, CenterFace, RetinaFace) saw each picture
again. Detections of one face are grouped; box and landmarks become the mean over the detectors that agree and
the old mark, weighted by the inverse of each one's variance (Gauss-Markov theorem). The variances are
measured on the same data: the variance of a difference is the sum of both variances, which gives one equation
a pair (the "three-cornered hat" of J. E. Gray and D. W. Allan, "A method for estimating the frequency
stability of an individual oscillator", 1974).

A mark is never dropped and nothing becomes background: what one detector alone finds is an ignored region. An
exception are pictures that hold no face by their choice (animals, things), where such finds are false alarms.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32, F64
from training.detector.metrics import iou
from training.detector.photos import TRUE_SCORE

DETECTORS = ("yunet", "centerface", "retinaface")
OLD = len(DETECTORS)  # the place of the old mark among the estimates of a face
# Scores from which each detector sees a face: about equal precision on the pictures of the data.
SEEN = np.array([0.7, 0.5, 0.7], np.float32)
# Intersection over union from which two boxes are one face. Of the same face, two detectors' boxes have 0.88
# in the median, faces of 10 px less; two faces of a crowd rarely have more than 0.2.
SAME = 0.4
IGNORED_SCORE = 0.79  # largest score of a mark that is not certain
FRONTAL = 0.25  # eye distance from which a face counts as near-frontal, as a share of its size


@dataclass(frozen=True, slots=True)
class Detected:
    """Detections in one picture, in its pixels: ``detector`` u8 [n] indexes DETECTORS, ``scores`` f32 [n] in
    [0, 1], ``boxes`` f32 [n, 4] xyxy, ``landmarks`` f32 [n, 5, 2].
    """

    detector: NDArray[np.uint8]
    scores: F32
    boxes: F32
    landmarks: F32


@dataclass(frozen=True, slots=True)
class Groups:
    """Estimates of the same faces: place k < 3 of the second axis is detector k's, place 3 the old mark.

    ``boxes`` f32 [m, 4, 4] xyxy, ``landmarks`` f32 [m, 4, 5, 2] and ``scores`` f32 [m, 4]; where nobody
    saw the face, NaN and a score of 0. ``picture`` i64 [m] counts over all pictures.
    """

    boxes: F32
    landmarks: F32
    scores: F32
    picture: NDArray[np.int64]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which estimates exist, bool [m, 4]."""
        return self.scores > 0


@dataclass(frozen=True, slots=True)
class Marks:
    """New marks of all pictures.

    ``faces`` f32 [m, 15]: x, y, w, h, five landmarks, a score, >= 0.8 for certain faces. ``face_offset`` i64
    [n+1] over the pictures. ``scores`` f32 [m, 4]: what each detector and the old mark gave, 0 for unseen.
    """

    faces: F32
    face_offset: NDArray[np.int64]
    scores: F32


def group(found: Detected, old: F32, negative: bool, picture: int) -> Groups:
    """Groups the detections and old marks f32 [g, 15] of one picture, one group a face.

    Each old mark, best first, takes the detection of each detector that overlaps it most; what is left is
    grouped by score in the same way. A detection that overlaps an earlier group is a duplicate. In a
    ``negative`` picture, groups without a mark are dropped.
    """
    seen = np.flatnonzero(found.scores >= SEEN[found.detector])
    seen = seen[np.argsort(-found.scores[seen], kind="stable")]
    order = np.argsort(-old[:, 14], kind="stable")
    boxes = np.concatenate([xyxy(old[order]), found.boxes[seen]])
    points = np.concatenate([old[order, 4:14].reshape(-1, 5, 2), found.landmarks[seen]])
    scores = np.concatenate([old[order, 14], found.scores[seen]])
    maker = np.concatenate([np.full(len(old), OLD), found.detector[seen]])
    overlap = iou(boxes, boxes)
    free = np.ones(len(boxes), bool)
    rows: list[list[int]] = []
    for seed in range(len(boxes) if not negative else len(old)):
        if not free[seed]:
            continue
        members = [-1] * (OLD + 1)
        members[maker[seed]] = seed
        free[seed] = False
        near = np.flatnonzero(free & (overlap[seed] >= SAME) & (maker != OLD))
        for k in near[np.argsort(-overlap[seed, near], kind="stable")]:
            if members[maker[k]] < 0:
                members[maker[k]] = k
            free[k] = False
        rows.append(members)
    place = np.array(rows, np.int64).reshape(-1, OLD + 1)
    absent = place < 0
    grouped = Groups(boxes[place], points[place], scores[place], np.full(len(place), picture))
    grouped.boxes[absent], grouped.landmarks[absent], grouped.scores[absent] = np.nan, np.nan, 0
    return grouped


def concatenate(groups: list[Groups]) -> Groups:
    """Groups of several pictures as one."""
    return Groups(
        *(
            np.concatenate([getattr(g, n) for g in groups])
            for n in ("boxes", "landmarks", "scores", "picture")
        )
    )


def differences(groups: Groups, min_size: float = 24.0) -> dict[tuple[int, int], tuple[F64, F64]]:
    """For each pair of estimates that met, on near-frontal faces of ``min_size`` px and more: mean distance
    of box corners (share of the size) and of landmarks (share of the eye distance), one value a face.
    """
    present, size = groups.present, np.nanmean(sizes(groups.boxes), axis=1)
    eyes = np.nanmean(np.linalg.norm(groups.landmarks[:, :, 0] - groups.landmarks[:, :, 1], axis=-1), axis=1)
    chosen = (size >= min_size) & (eyes >= FRONTAL * size)
    result = {}
    for a, b in combinations(range(OLD + 1), 2):
        both = chosen & present[:, a] & present[:, b]
        if not both.any():
            continue
        corners = (groups.boxes[both, a] - groups.boxes[both, b]).reshape(-1, 2, 2)
        points = groups.landmarks[both, a] - groups.landmarks[both, b]
        result[a, b] = (
            np.linalg.norm(corners, axis=-1).mean(1) / size[both],
            np.linalg.norm(points, axis=-1).mean(1) / eyes[both],
        )
    return result


def variances(apart: dict[tuple[int, int], tuple[F64, F64]]) -> F64:
    """Variance of each estimate's box and landmarks [4, 2], from medians of the pairs' differences.

    YuNet made the old marks, so the two share their errors: that pair gives no equation. A variance is at
    least a fifth of the mean one, because the estimate of a small one is uncertain. Raises ValueError when no
    two detectors saw the same face.
    """
    pairs = [pair for pair in apart if pair != (0, OLD)]
    if not pairs:
        raise ValueError("the detections must hold large faces that two detectors saw; found none")
    system = np.zeros((len(pairs), OLD + 1))
    for row, pair in enumerate(pairs):
        system[row, list(pair)] = 1
    squares = np.array([[np.median(part) ** 2 for part in apart[pair]] for pair in pairs])
    solved = np.linalg.lstsq(system, squares, rcond=None)[0]
    variance: F64 = np.maximum(solved, solved.mean(axis=0) / 5)
    return variance


def merged(groups: Groups, variance: F64, pictures: int) -> Marks:
    """The weighted mean of each group.

    YuNet and the old mark count as one estimate where both are there, with half of its weight each.
    """
    weights = groups.present[..., None] / variance
    both = groups.present[:, 0] & groups.present[:, OLD]
    weights[both, 0] /= 2
    weights[both, OLD] /= 2
    weights /= weights.sum(axis=1, keepdims=True)
    boxes = np.einsum("mk,mkc->mc", weights[..., 0], np.nan_to_num(groups.boxes))
    points = np.einsum("mk,mkpc->mpc", weights[..., 1], np.nan_to_num(groups.landmarks))
    sure, best = certain(groups.scores), groups.scores.max(axis=1)
    score = np.where(sure, np.maximum(best, TRUE_SCORE), np.minimum(best, IGNORED_SCORE))
    corner, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    faces = np.concatenate([corner, size, points.reshape(-1, 10), score[:, None]], axis=1)
    offset = np.searchsorted(groups.picture, np.arange(pictures + 1))
    return Marks(faces.astype(np.float32), offset, groups.scores)


def certain(scores: F32) -> NDArray[np.bool_]:
    """Which faces count as true, from the scores [m, 4] of the detectors and the old mark.

    Old marks of 0.8 and more, and what two detectors see; a lower old mark is YuNet's sight.
    """
    return (scores[:, OLD] >= TRUE_SCORE) | (confirmations(scores) >= 2)


def confirmations(scores: F32) -> NDArray[np.int64]:
    """How many detectors see each face, i64 [m]."""
    by_yunet = (scores[:, 0] > 0) | (scores[:, OLD] > 0)
    count: NDArray[np.int64] = by_yunet.astype(np.int64) + (scores[:, 1:OLD] > 0).sum(axis=1)
    return count


def xyxy(faces: F32) -> F32:
    """Boxes f32 [g, 4] of marks f32 [g, 15]."""
    boxes: F32 = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:4]], axis=1)
    return boxes


def sizes(boxes: F32) -> F32:
    """Root of the area of boxes [..., 4]."""
    result: F32 = np.sqrt(np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1))
    return result
