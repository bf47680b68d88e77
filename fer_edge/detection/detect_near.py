"""Face detection near known faces: only the parts of the frame that show them are searched.

A window lies on the grid of a pass over the whole frame and has its scale (see fer_edge.detection.detect).
So the network sees the same samples as in a search of the whole frame, and finds nearly the same box and
landmarks: within 1 % of the eye distance, in trials on two videos. Windows off the grid moved the landmarks
by 4 to 6 %, windows of other scales by as much. A window of 96 x 96 is a tenth of a pass over 320 x 256.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fer_edge import ops
from fer_edge.arrays import F32
from fer_edge.backends.base import Backend, Plane, Sampling
from fer_edge.detection.detect import CONTAINED, OVERLAP, letterbox, within_frame
from fer_edge.detection.scales import MIN_FACE_SHARE, scales_from_frame
from fer_edge.detection.tiles import MAX_INPUT_PX
from fer_edge.models import ModelSpec
from fer_edge.result import Detections

# Of several passes, the one is taken in which the face has about this side: there the detector is the surest,
# so a search of the whole frame takes the face from the same pass.
PREFERRED_PX = 48.0
# The side of a window exceeds that of the face by at least this much. Half of `input_multiple` on each side
# is lost to the grid; the rest is context for the network.
MARGIN_PX = 40.0


class NearDetector:
    """Finds faces again. It has no state besides its settings, so threads may share it.

    Args:
        backend: the detector network.
        spec: the spec of the detector network.
        min_face: as for the Detector, whose passes are searched in part.
        min_face_share: as min_face.
    """

    def __init__(
        self,
        backend: Backend,
        spec: ModelSpec,
        min_face: float | None = None,
        min_face_share: float = MIN_FACE_SHARE,
    ) -> None:
        self._backend = backend
        self._spec = spec
        self._min_face = min_face
        self._min_face_share = min_face_share

    def __call__(self, plane: Plane, boxes: F32, threshold: float) -> Detections:
        """Returns the faces in the windows around the boxes [N, 4], in frame pixels, best score first.

        There may be more or fewer faces than boxes, and a face at the edge of a window may be cut.
        """
        height, width = plane.shape
        multiple = self._spec.input_multiple
        passes = _passes(height, width, self._min_face, self._min_face_share, multiple)
        windows = [_window(box, passes, multiple) for box in boxes.tolist()]
        # Windows of one size are one batch, or several where there are many.
        sizes: dict[tuple[int, int], list[_Window]] = {}
        for window in windows:
            sizes.setdefault((window.height, window.width), []).append(window)
        found = [
            part
            for (rows, columns), same in sizes.items()
            for batch in _batches(same, max(1, MAX_INPUT_PX // (rows * columns)))
            for part in self._search(plane, batch, threshold)
        ]
        joined = Detections(
            np.concatenate([np.empty((0, 4), np.float32), *(part.boxes for part in found)]),
            np.concatenate([np.empty((0, 5, 2), np.float32), *(part.landmarks for part in found)]),
            np.concatenate([np.empty(0, np.float32), *(part.scores for part in found)]),
        )
        return within_frame(distinct(joined), height, width, len(joined))

    def _search(self, plane: Plane, windows: list["_Window"], threshold: float) -> Iterator[Detections]:
        """Searches windows of one size; yields the faces of each."""
        spec = self._spec
        matrices = np.array(
            [((1 / w.scale, 0, w.x / w.scale), (0, 1 / w.scale, w.y / w.scale)) for w in windows], np.float32
        )
        sides = windows[0].height, windows[0].width
        self._backend.sample(plane, matrices, sides, Sampling(spec.mean, spec.scale, "constant", spec.mean))
        outputs = self._backend.run()
        for row, window in enumerate(windows):
            maps = [output[row] for output in outputs]
            boxes, landmarks, scores = ops.decode_faces(maps, threshold=threshold, overlap=OVERLAP)
            corner, scale = np.array([window.x, window.y] * 2, np.float32), np.float32(window.scale)
            yield Detections((boxes + corner) / scale, (landmarks + corner[:2]) / scale, scores)


class _Pass(NamedTuple):
    """A pass over the whole frame: pixels of the network per pixel of the frame, and its input's size."""

    scale: float
    height: int
    width: int


class _Window(NamedTuple):
    """A part of a pass, in pixels of the network."""

    scale: float
    y: int
    x: int
    height: int
    width: int


def _batches(windows: list[_Window], most: int) -> Iterator[list[_Window]]:
    for first in range(0, len(windows), most):
        yield windows[first : first + most]


@lru_cache(maxsize=8)
def _passes(
    height: int, width: int, min_face: float | None, min_face_share: float, multiple: int
) -> list[_Pass]:
    scales = scales_from_frame(max(height, width), min_face, min_face_share)
    return [_Pass(scale, *letterbox((height, width), scale, multiple)[1]) for scale in scales]


def _window(box: tuple[float, float, float, float], passes: list[_Pass], multiple: int) -> _Window:
    left, top, right, bottom = box
    side = math.sqrt(max((right - left) * (bottom - top), 1.0))
    best = min(passes, key=lambda one: abs(math.log(side * one.scale / PREFERRED_PX)))
    wanted = math.ceil((side * best.scale + MARGIN_PX) / multiple) * multiple
    height, width = min(wanted, best.height), min(wanted, best.width)
    y = _grid_point((top + bottom) / 2 * best.scale - height / 2, best.height - height, multiple)
    x = _grid_point((left + right) / 2 * best.scale - width / 2, best.width - width, multiple)
    return _Window(best.scale, y, x, height, width)


def _grid_point(position: float, last: int, multiple: int) -> int:
    """The nearest multiple from 0 to `last`."""
    return min(max(round(position / multiple) * multiple, 0), last)


def distinct(found: Detections) -> Detections:
    """Returns the faces, best score first; of the boxes of one face (see detect.merge) the best is kept."""
    if len(found) < 2:
        return found
    order = np.argsort(-found.scores, kind="stable")
    boxes = found.boxes[order]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    corner0 = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    corner1 = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.maximum(corner1 - corner0, 0).prod(axis=2)
    same = shared > OVERLAP * (areas[:, None] + areas - shared)
    same |= shared > CONTAINED * np.minimum(areas[:, None], areas)
    np.fill_diagonal(same, False)
    # Nearly always there is one box for each face.
    if not same.any():
        return found.select(order.tolist())
    kept: list[int] = []
    for index in range(len(order)):
        if not same[index, kept].any():
            kept.append(index)
    best = order[np.array(kept, np.intp)]
    return Detections(found.boxes[best], found.landmarks[best], found.scores[best])
