"""What the teachers share: luma to the input, ONNX Runtime, suppression of boxes of the same face."""

from abc import ABC, abstractmethod
from pathlib import Path

import cv2
import numpy as np

from fer_edge.arrays import F32, U8
from fer_edge.backends.ort import open_session
from fer_edge.result import Detections

MULTIPLE = 32  # px; the sides of the input are multiples of the largest stride


class Teacher(ABC):
    """A detector file in ONNX Runtime, with luma in all three channels.

    Args:
        path: the ONNX file.
        threshold: smallest score, in [0, 1].
        threads: of ONNX Runtime.
    """

    # Boxes with a larger intersection over union are the same face; CenterFace's authors use less.
    overlap = 0.4
    channel_means: tuple[float, float, float] = (0.0, 0.0, 0.0)  # in the order of the network's channels

    def __init__(self, path: Path, threshold: float, threads: int = 1) -> None:
        self.session = open_session(path.read_bytes(), threads)
        self.threshold = threshold

    def __call__(self, plane: U8, scale: float = 1.0) -> Detections:
        """Faces of u8 [H, W] in its own pixels, found at ``scale`` times its size, best score first."""
        if scale != 1:
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            plane = np.asarray(cv2.resize(plane, None, fx=scale, fy=scale, interpolation=how), np.uint8)
        height, width = (-(-side // MULTIPLE) * MULTIPLE for side in plane.shape)
        # Black beyond the picture.
        padded = np.zeros((height, width), np.float32)
        padded[: plane.shape[0], : plane.shape[1]] = plane
        x = padded - np.array(self.channel_means, np.float32)[None, :, None, None]
        boxes, points, scores = self._decode(self.session.run(None, {"input": x}), height, width)
        corner_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = np.array(
            cv2.dnn.NMSBoxes(corner_size.tolist(), scores.tolist(), self.threshold, self.overlap), int
        ).ravel()
        size = np.float32(scale)
        return Detections(boxes[kept] / size, points[kept] / size, scores[kept])

    @abstractmethod
    def _decode(self, outputs: list[F32], height: int, width: int) -> tuple[F32, F32, F32]:
        """Boxes [n, 4] xyxy and landmarks [n, 5, 2] in pixels of the input, and scores [n] >= threshold."""
