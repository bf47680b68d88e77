"""Face detection in a frame: letterbox, network, decoding, conversion to frame pixels.

The network finds faces of NETWORK_FACE_PX pixels. So the size of its input depends on the smallest wanted
face, not on the size of the frame. A larger face is missed; therefore coarser passes follow, until a face
that fills the frame is in the range of one pass. Each pass costs a fraction of the previous one. The passes
are merged.
"""

import math

import numpy as np

from fer_edge import ops
from fer_edge.arrays import F32, U8
from fer_edge.backends.base import Backend
from fer_edge.models import ModelSpec
from fer_edge.result import Detections

# Smallest and largest side of a face in the network's input that the network finds reliably. Provisional:
# estimated on the portraits of a first training run, to be measured for each new detector.
NETWORK_FACE_PX = (16, 144)
# Long side of the network's input if min_face is not given. The smallest face is then a twentieth of the long
# side of the frame.
DEFAULT_LONG_PX = 320
# Minimum long side of the network's input, for any min_face. A smaller frame is not enlarged to reach it.
MIN_LONG_PX = 192
# Long side of the coarsest pass. There, a face that fills the frame is within the range of the network.
COARSE_LONG_PX = 128
# The face-size ranges of consecutive passes overlap by this factor, because detection is less reliable at the
# ends of the range.
RANGE_OVERLAP = 1.5
# Maximum long side of the network's input. It limits memory and time for any frame and min_face.
MAX_LONG_PX = 2560
# Maximum enlargement of a frame: more adds no information. Only a min_face below 8 px would need more.
MAX_ENLARGEMENT = 2.0
# Two boxes with a larger intersection over union are the same face.
OVERLAP = 0.4
# If a larger share of the smaller box lies inside the larger box, both are the same face: the finer pass has
# detected a part of the face that the coarser pass found.
CONTAINED = 0.7


def scales_from_frame(long_px: int, min_face: float | None) -> list[float]:
    """Returns the scale of each pass, in network pixels per frame pixel, finest pass first."""
    smallest, largest = NETWORK_FACE_PX
    if min_face is None:
        scale = min(DEFAULT_LONG_PX / long_px, MAX_ENLARGEMENT)
    else:
        scale = max(smallest / min_face, min(1.0, MIN_LONG_PX / long_px))
        scale = min(scale, MAX_LONG_PX / long_px)
    scales = [scale]
    while scales[-1] * long_px > largest:
        scales.append(max(scales[-1] * smallest / largest * RANGE_OVERLAP, COARSE_LONG_PX / long_px))
    return scales


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
    backend: Backend, spec: ModelSpec, plane: U8, scale: float, *, threshold: float
) -> Detections:
    """Runs the network once, at ``scale`` network pixels per frame pixel; boxes are not clipped."""
    matrix, (height, width) = letterbox(plane.shape, scale, spec.input_multiple)
    ops.warp_normalize(
        plane,
        matrix,
        backend.reserve((1, 1, height, width)),
        mean=spec.mean,
        scale=spec.scale,
        border="constant",
        fill=spec.mean,
    )
    maps = [output[0] for output in backend.run()]
    boxes, landmarks, scores = ops.decode_faces(maps, threshold=threshold, overlap=OVERLAP)
    return Detections(boxes / np.float32(scale), landmarks / np.float32(scale), scores)


def _areas(boxes: F32) -> F32:
    areas: F32 = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


class Detector:
    """Finds faces in luma planes. It has no state besides its settings, so threads may share it.

    Args:
        backend: the detector network.
        spec: the spec of the detector network.
        threshold: minimum score of a face, in [0, 1].
        min_face: smallest wanted face in frame pixels; None: a twentieth of the frame's long side.
        max_faces: maximum number of faces per frame; the best scores are kept.
    """

    def __init__(
        self, backend: Backend, spec: ModelSpec, *, threshold: float, min_face: float | None, max_faces: int
    ) -> None:
        self._backend = backend
        self._spec = spec
        self._threshold = threshold
        self._min_face = min_face
        self._max_faces = max_faces

    @property
    def threshold(self) -> float:
        """Minimum score of a face."""
        return self._threshold

    def __call__(self, plane: U8, threshold: float | None = None) -> Detections:
        """Returns the faces of a plane uint8 [H, W], in frame pixels; None: the detector's own threshold."""
        height, width = plane.shape
        scales = scales_from_frame(max(height, width), self._min_face)
        threshold = self._threshold if threshold is None else threshold
        found = self._pass(plane, scales[0], threshold)
        for scale in scales[1:]:
            found = merge(found, self._pass(plane, scale, threshold))
        return within_frame(found, height, width, self._max_faces) if len(found) else found

    def _pass(self, plane: U8, scale: float, threshold: float) -> Detections:
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
