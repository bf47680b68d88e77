"""Faces of a frame: letterbox, network, decoding, back to frame pixels.

The network finds faces of NETWORK_FACE_PX, so the size of its input follows the smallest face that is wanted,
not the size of the frame. A face larger than the range is missed, so coarser passes follow until one of them
sees a face that fills the frame; each costs a fraction of the one before. The passes are merged.
"""

import math

import numpy as np

from fer_edge import ops
from fer_edge.arrays import F32, U8
from fer_edge.backends.base import Backend
from fer_edge.models import ModelSpec
from fer_edge.result import Detections

# Smallest and largest side of a face in the network's input that it finds reliably. Provisional: read off the
# portraits of a first training run, to be measured again with each detector.
NETWORK_FACE_PX = (16, 144)
# Long side of the network's input when min_face is not given: finds faces from a twentieth of the frame's
# long side on.
DEFAULT_LONG_PX = 320
# The network's input gets no smaller, however large min_face is; frames are not enlarged to reach it.
MIN_LONG_PX = 192
# Long side of the coarsest pass: a face that fills the frame is within the network's range there.
COARSE_LONG_PX = 128
# A coarser pass takes up where the finer one ends, with this overlap of the ranges, because both fade at
# their ends.
RANGE_OVERLAP = 1.5
# Largest long side of the network's input, which bounds memory and time whatever the frame and min_face.
MAX_LONG_PX = 2560
# Enlarging more than this shows the network no more than there is; only a min_face below 8 px asks for it.
MAX_ENLARGEMENT = 2.0
# Intersection over union from which two boxes are one face.
OVERLAP = 0.4
# Share of the smaller box that lies in the larger one, from which a finer pass has seen a part of a coarser
# one's face.
CONTAINED = 0.7


def scales_from_frame(long_px: int, min_face: float | None) -> list[float]:
    """Returns the network pixels per frame pixel of each pass, finest first."""
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

    The frame lies in the top left corner; the rest, up to the next multiple, is padding.
    """
    sides = [max(1, math.ceil(side * scale / multiple - 1e-6)) * multiple for side in shape]
    matrix = np.array([[[1 / scale, 0, 0], [0, 1 / scale, 0]]], np.float32)
    return matrix, (sides[0], sides[1])


def merge(fine: Detections, coarse: Detections) -> Detections:
    """Joins passes over one frame, by falling score; of two boxes on one face the better-scored stays."""
    corner0 = np.maximum(fine.boxes[:, None, :2], coarse.boxes[None, :, :2])
    corner1 = np.minimum(fine.boxes[:, None, 2:], coarse.boxes[None, :, 2:])
    shared = np.maximum(corner1 - corner0, 0).prod(axis=2)  # [F, C]
    fine_areas, coarse_areas = _areas(fine.boxes)[:, None], _areas(coarse.boxes)
    same = shared > OVERLAP * (fine_areas + coarse_areas - shared)
    same |= shared > CONTAINED * np.minimum(fine_areas, coarse_areas)
    # Within a pass the decoder has dropped the doubles already, so only pairs across the passes compete. From
    # the best on: what a dropped box overlaps stays.
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
    """Runs the network once, at ``scale`` network pixels per frame pixel; boxes are not clipped to the frame."""
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
    """Finds faces in luma planes; holds no state besides its settings, so threads may share it.

    Args:
        backend: runs the detector network.
        spec: of that network.
        threshold: score in [0, 1] from which a detection is a face.
        min_face: smallest wanted face in frame pixels, None for a twentieth of the frame's long side.
        max_faces: how many faces of a frame are kept, best scores first.
    """

    def __init__(
        self, backend: Backend, spec: ModelSpec, *, threshold: float, min_face: float | None, max_faces: int
    ) -> None:
        self._backend = backend
        self._spec = spec
        self._threshold = threshold
        self._min_face = min_face
        self._max_faces = max_faces

    def __call__(self, plane: U8) -> Detections:
        """Returns the faces of a plane uint8 [H, W], in frame pixels."""
        height, width = plane.shape
        scales = scales_from_frame(max(height, width), self._min_face)
        found = self._pass(plane, scales[0])
        for scale in scales[1:]:
            found = merge(found, self._pass(plane, scale))
        return _within_frame(found, height, width, self._max_faces) if len(found) else found

    def _pass(self, plane: U8, scale: float) -> Detections:
        return detect_at_scale(self._backend, self._spec, plane, scale, threshold=self._threshold)


def _within_frame(found: Detections, height: int, width: int, limit: int) -> Detections:
    """Clips boxes to the frame and drops those that lie in the padding entirely."""
    # Clipped, so that frame[y0:y1, x0:x1] works: a negative corner would count from the other end.
    far_corner = np.array([width, height, width, height], np.float32)
    boxes = np.minimum(np.maximum(found.boxes, 0), far_corner)
    seen = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    if len(seen) <= limit and seen.all():
        return Detections(boxes, found.landmarks, found.scores)
    kept = np.flatnonzero(seen)[:limit]
    return Detections(boxes[kept], found.landmarks[kept], found.scores[kept])
