"""The teacher of the face detector, YuNet (Wu, Peng and Yu 2023), for comparison: its ONNX file is not
shipped.
"""

from pathlib import Path

import cv2
import numpy as np

from fer_edge.arrays import F32, U8
from fer_edge.backends.ort import open_session
from fer_edge.result import Detections

STRIDES = (8, 16, 32)
OVERLAP = 0.3  # of its non-maximum suppression, as released


class YuNet:
    """``yunet_n_dynamic.onnx`` in ONNX Runtime; input BGR float32 0-255, with luma in all three channels."""

    def __init__(self, path: Path, threshold: float, threads: int = 1) -> None:
        self.session = open_session(path.read_bytes(), threads)
        self.threshold = threshold

    def __call__(self, plane: U8, scale: float = 1.0) -> Detections:
        """Faces of u8 [H, W] in its own pixels, found at ``scale`` times its size."""
        if scale != 1:
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            plane = cv2.resize(plane, None, fx=scale, fy=scale, interpolation=how)
        height, width = (-(-side // 32) * 32 for side in plane.shape)
        x = np.zeros((1, 3, height, width), np.float32)
        x[0, :, : plane.shape[0], : plane.shape[1]] = plane
        outputs = self.session.run(None, {"input": x})
        rows = [self._level(outputs[k::3], s, width // s) for k, s in enumerate(STRIDES)]
        boxes, points, scores = (np.concatenate(part) for part in zip(*rows, strict=True))
        corner_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = np.array(
            cv2.dnn.NMSBoxes(corner_size.tolist(), scores.tolist(), self.threshold, OVERLAP), int
        ).ravel()
        size = np.float32(scale)
        return Detections(boxes[kept] / size, points[kept] / size, scores[kept])

    def _level(self, outputs: list[F32], stride: int, columns: int) -> tuple[F32, F32, F32]:
        classes, objects, boxes, points = (o[0] for o in outputs)
        scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
        at = np.flatnonzero(scores >= self.threshold)
        origin = np.stack([at % columns, at // columns], axis=1).astype(np.float32)
        middle = (origin + boxes[at, :2]) * stride
        half = np.exp(boxes[at, 2:]) * stride / 2
        landmarks = (origin[:, None] + points[at].reshape(-1, 5, 2)) * stride
        return np.concatenate([middle - half, middle + half], axis=1), landmarks, scores[at]
