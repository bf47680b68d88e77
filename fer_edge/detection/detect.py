"""Face detection in a frame: letterbox, network, decoding, conversion to frame pixels.

A frame is searched at several scales (fer_edge.detection.scales), whose results are merged. A pass with a
large input runs in overlapping windows (fer_edge.detection.tiles).
"""

import math
from collections.abc import Callable
from functools import reduce

import numpy as np

from fer_edge import ops
from fer_edge.arrays import F32
from fer_edge.backends.base import Backend, Plane, Sampling
from fer_edge.detection.scales import MIN_FACE_SHARE, scales_from_frame
from fer_edge.detection.tiles import MAX_INPUT_PX, MAX_SIDE_PX, Window, windows_from_sides
from fer_edge.models import ModelSpec
from fer_edge.result import Detections

# Two boxes with a larger intersection over union are the same face.
OVERLAP = 0.4
# If a larger share of the smaller box lies inside the larger box, both are the same face: the finer pass has
# detected a part of the face that the coarser pass found.
CONTAINED = 0.7


def letterbox(shape: tuple[int, ...], scale: float, multiple: int) -> tuple[F32, tuple[int, int]]:
    """Returns the matrix [1, 2, 3] from network to frame pixels and the network input's (height, width).

    The frame is in the top left corner; the rest, up to the next multiple, is padding.
    """
    sides = [max(1, math.ceil(side * scale / multiple - 1e-6)) * multiple for side in shape]
    matrix = np.array([[[1 / scale, 0, 0], [0, 1 / scale, 0]]], np.float32)
    return matrix, (sides[0], sides[1])


def merge(fine: Detections, coarse: Detections) -> Detections:
    """Merges the passes over one frame, best score first. Of two boxes of one face the better one is kept."""
    corner0 = np.maximum(fine.boxes[:, None, :2], coarse.boxes[None, :, :2])
    corner1 = np.minimum(fine.boxes[:, None, 2:], coarse.boxes[None, :, 2:])
    shared = np.maximum(corner1 - corner0, 0).prod(axis=2)  # [F, C]
    fine_areas, coarse_areas = _areas(fine.boxes)[:, None], _areas(coarse.boxes)
    same = shared > OVERLAP * (fine_areas + coarse_areas - shared)
    same |= shared > CONTAINED * np.minimum(fine_areas, coarse_areas)
    # The decoder has already removed duplicates within a pass, so only pairs across passes are compared. Best
    # score first; a box that only overlaps a dropped box is kept.
    scores = np.concatenate([fine.scores, coarse.scores])
    count = len(fine)
    dropped = np.zeros(len(scores), bool)
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if not dropped[index]:
            kept.append(index)
            if index < count:
                dropped[count:] |= same[index]
            else:
                dropped[:count] |= same[:, index - count]
    order = np.array(kept, np.intp)
    return Detections(
        np.concatenate([fine.boxes, coarse.boxes])[order],
        np.concatenate([fine.landmarks, coarse.landmarks])[order],
        scores[order],
    )


def detect_at_scale(
    backend: Backend, spec: ModelSpec, plane: Plane, scale: float, *, threshold: float
) -> Detections:
    """Runs the network at ``scale`` network pixels per frame pixel; boxes are not clipped."""
    matrix, (height, width) = letterbox(plane.shape, scale, spec.input_multiple)

    def run(part: F32, sides: tuple[int, int]) -> Detections:
        return _run(backend, spec, plane, part, sides, threshold)

    if height * width <= MAX_INPUT_PX and max(height, width) <= MAX_SIDE_PX:
        found = run(matrix, (height, width))
    else:
        windows = windows_from_sides(height, width, spec.input_multiple)
        found = reduce(merge, (_detect_in_window(run, matrix, window) for window in windows))
    return Detections(found.boxes / np.float32(scale), found.landmarks / np.float32(scale), found.scores)


def _run(
    backend: Backend, spec: ModelSpec, plane: Plane, matrix: F32, sides: tuple[int, int], threshold: float
) -> Detections:
    """Runs the network once on an input of (height, width); the faces are in pixels of the input."""
    backend.sample(plane, matrix, sides, Sampling(spec.mean, spec.scale, "constant", spec.mean))
    maps = [output[0] for output in backend.run()]
    return Detections(*ops.decode_faces(maps, threshold=threshold, overlap=OVERLAP))


def _detect_in_window(
    run: Callable[[F32, tuple[int, int]], Detections], matrix: F32, window: Window
) -> Detections:
    """The faces whose centre is in the core of a window, in pixels of the whole input."""
    rows, columns = window
    start = np.array([columns.start, rows.start], np.float32)
    from_window = matrix.copy()
    from_window[0, :, 2] += matrix[0, :, :2] @ start
    found = run(from_window, (rows.length, columns.length))
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    first, last = np.array([columns.core, rows.core], np.float32).T
    mine = ((centres >= first) & (centres < last)).all(axis=1)
    return Detections(
        found.boxes[mine] + np.tile(start, 2), found.landmarks[mine] + start, found.scores[mine]
    )


def _areas(boxes: F32) -> F32:
    areas: F32 = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


class Detector:
    """Finds faces in luma planes. It has no state besides its settings, so threads may share it.

    Args:
        backend: the detector network.
        spec: the spec of the detector network.
        threshold: minimum score of a face, in [0, 1].
        min_face: smallest wanted face in frame pixels; None: by min_face_share.
        max_faces: maximum number of faces per frame; the best scores are kept.
        min_face_share: smallest wanted face as a share of the frame's long side, in (0, 1].
    """

    def __init__(
        self,
        backend: Backend,
        spec: ModelSpec,
        *,
        threshold: float,
        min_face: float | None,
        max_faces: int,
        min_face_share: float = MIN_FACE_SHARE,
    ) -> None:
        self._backend = backend
        self._spec = spec
        self._threshold = threshold
        self._min_face = min_face
        self._min_face_share = min_face_share
        self._max_faces = max_faces

    @property
    def threshold(self) -> float:
        """Minimum score of a face."""
        return self._threshold

    def __call__(self, plane: Plane, threshold: float | None = None) -> Detections:
        """Returns the faces of a plane, in frame pixels; None: the detector's own threshold."""
        height, width = plane.shape
        scales = scales_from_frame(max(height, width), self._min_face, self._min_face_share)
        threshold = self._threshold if threshold is None else threshold
        found = self._pass(plane, scales[0], threshold)
        for scale in scales[1:]:
            found = merge(found, self._pass(plane, scale, threshold))
        return within_frame(found, height, width, self._max_faces) if len(found) else found

    def _pass(self, plane: Plane, scale: float, threshold: float) -> Detections:
        return detect_at_scale(self._backend, self._spec, plane, scale, threshold=threshold)


def within_frame(found: Detections, height: int, width: int, limit: int) -> Detections:
    """Clips boxes to the frame and drops boxes that lie completely in the padding."""
    # Without clipping, frame[y0:y1, x0:x1] would count a negative corner from the other end.
    far_corner = np.array([width, height, width, height], np.float32)
    boxes = np.minimum(np.maximum(found.boxes, 0), far_corner)
    seen = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    if len(seen) <= limit and seen.all():
        return Detections(boxes, found.landmarks, found.scores)
    kept = np.flatnonzero(seen)[:limit]
    return Detections(boxes[kept], found.landmarks[kept], found.scores[kept])
