"""The stages of a Recognizer on one frame, one by one.

`fer_edge.stream` decides between two stages which faces need the next one. The Recognizer makes the object,
so that it stays the only module that knows which stage uses which.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fer_edge import ops
from fer_edge.arrays import F32, U8
from fer_edge.backends.base import Plane, plane_on_host
from fer_edge.detection.detect import Detector
from fer_edge.detection.detect_near import NearDetector
from fer_edge.result import Detections, Expressions
from fer_edge.stages.align import matrices_from_boxes


@dataclass(frozen=True, slots=True)
class FrameStages:
    """One frame. Valid until the same thread starts the next frame, because the luma plane is reused."""

    _plane: Plane
    _detect: Detector
    _detect_near: NearDetector
    _express: Callable[[Plane, Detections], Expressions]

    @property
    def luma(self) -> U8:
        """The luma plane [H, W] on the CPU."""
        return plane_on_host(self._plane)

    @property
    def threshold(self) -> float:
        """Minimum score of a face that is reported."""
        return self._detect.threshold

    def search(self, threshold: float | None = None) -> Detections:
        """Returns the faces of the whole frame; None: with at least the usual score."""
        return self._detect(self._plane, threshold)

    def search_near(self, boxes: F32, threshold: float) -> Detections:
        """Returns the faces near the boxes [N, 4], as a search of the whole frame would find them."""
        return self._detect_near(self._plane, boxes, threshold)

    def pictures(self, boxes: F32, size: int) -> F32:
        """Returns small pictures of what the boxes [N, 4] show, float32 [N, size, size] in grey levels."""
        pictures = np.empty((len(boxes), 1, size, size), np.float32)
        ops.warp_normalize(self.luma, matrices_from_boxes(boxes, size), pictures, mean=0.0, scale=1.0)
        return pictures[:, 0]

    def expressions(self, found: Detections) -> Expressions:
        """Returns the expressions of faces of this frame."""
        return self._express(self._plane, found)
