"""YuNet (W. Wu, H. Peng, S. Yu, 2023): ``yunet_n_dynamic.onnx``."""

import numpy as np

from fer_edge.arrays import F32
from training.detector.teachers.teacher import Teacher

STRIDES = (8, 16, 32)


class YuNet(Teacher):
    """Input BGR 0-255; twelve outputs: classes, objects, boxes and landmarks at three strides."""

    def _decode(self, outputs: list[F32], height: int, width: int) -> tuple[F32, F32, F32]:
        rows = [self._level(outputs[k::3], s, width // s) for k, s in enumerate(STRIDES)]
        boxes, points, scores = (np.concatenate(part) for part in zip(*rows, strict=True))
        return boxes, points, scores

    def _level(self, outputs: list[F32], stride: int, columns: int) -> tuple[F32, F32, F32]:
        classes, objects, boxes, points = (o[0] for o in outputs)
        scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
        at = np.flatnonzero(scores >= self.threshold)
        origin = np.stack([at % columns, at // columns], axis=1).astype(np.float32)
        middle = (origin + boxes[at, :2]) * stride
        half = np.exp(boxes[at, 2:]) * stride / 2
        landmarks = (origin[:, None] + points[at].reshape(-1, 5, 2)) * stride
        return np.concatenate([middle - half, middle + half], axis=1), landmarks, scores[at]
