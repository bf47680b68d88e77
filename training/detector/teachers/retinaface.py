"""RetinaFace (J. Deng et al., "RetinaFace: Single-stage Dense Face Localisation in the Wild", 2019) with a
small MobileNet: ``retinaface_mobile025_dynamic.onnx``.
"""

import numpy as np

from fer_edge.arrays import F32
from training.detector.teachers.teacher import Teacher

PRIORS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}  # stride: sides of its two square priors, px
OFFSET_VARIANCE, SIZE_VARIANCE = 0.1, 0.2


class RetinaFace(Teacher):
    """Input BGR minus the channels' means; boxes, probabilities of (background, face) and landmarks for each
    prior, as in SSD (Liu et al., 2016).
    """

    channel_means = (104.0, 117.0, 123.0)

    def _decode(self, outputs: list[F32], height: int, width: int) -> tuple[F32, F32, F32]:
        location, confidence, points = (o[0] for o in outputs)
        at = np.flatnonzero(confidence[:, 1] >= self.threshold)
        middle, side = (part[at] for part in _priors(height, width))
        centre = middle + location[at, :2] * OFFSET_VARIANCE * side
        half = side * np.exp(location[at, 2:] * SIZE_VARIANCE) / 2
        landmarks = middle[:, None] + points[at].reshape(-1, 5, 2) * OFFSET_VARIANCE * side[:, None]
        return np.concatenate([centre - half, centre + half], axis=1), landmarks, confidence[at, 1]


def _priors(height: int, width: int) -> tuple[F32, F32]:
    """Centres [n, 2] and sides [n, 1] of the priors, px, in the order of the outputs."""
    centres, sides = [], []
    for stride, pair in PRIORS.items():
        y, x = np.mgrid[: height // stride, : width // stride]
        centre = (np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32) + 0.5) * stride
        centres.append(np.repeat(centre, len(pair), axis=0))
        sides.append(np.tile(np.array(pair, np.float32), len(centre))[:, None])
    return np.concatenate(centres), np.concatenate(sides)
