"""CenterFace (Y. Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2020):
``centerface_dynamic.onnx``.
"""

import numpy as np

from fer_edge.arrays import F32
from training.detector.teachers.teacher import Teacher

STRIDE = 4


class CenterFace(Teacher):
    """Input RGB 0-255; four maps at stride 4: score, log of height and width in strides, offset of the centre
    (y, x), and landmarks (y, x each) as shares of the box.
    """

    overlap = 0.3

    def _decode(self, outputs: list[F32], height: int, width: int) -> tuple[F32, F32, F32]:
        heat, scale, offset, points = (o[0] for o in outputs)
        y, x = np.nonzero(heat[0] >= self.threshold)
        size = np.exp(scale[::-1, y, x].T) * STRIDE
        middle = (np.stack([x, y], axis=1) + offset[::-1, y, x].T + 0.5) * STRIDE
        corner = (middle - size / 2).astype(np.float32)
        shares = points[:, y, x].T.reshape(-1, 5, 2)[..., ::-1]
        landmarks = corner[:, None] + shares * size[:, None]
        return np.concatenate([corner, corner + size], axis=1), landmarks, heat[0, y, x]
