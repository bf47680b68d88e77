"""Five landmarks to the matrix that cuts an upright face of a fixed size; touches no pixel.

A similarity in the plane is a multiplication by one complex number and a shift, so the fit is closed-form and
runs over all faces at once, with no singular value decomposition. Rotation and shift are the least-squares
ones (Umeyama 1991). The scale is the ratio of the two spreads, the symmetric solution of Horn (1987, section
2.E): Umeyama's depends on which of the point sets is called noisy, and in the direction usual for faces it
tends to infinity for landmarks that fit badly (swapped sides, a false alarm), which would make one face cost
as much as a frame.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32


def matrices_from_landmarks(landmarks: F32, template: F32, size: int) -> F32:
    """Returns float32 [N, 2, 3] that map continuous crop pixels to continuous frame pixels.

    Args:
        landmarks: [N, 5, 2] in frame pixels.
        template: [5, 2] where the landmarks should come to lie, as shares of the crop's side in [0, 1].
        size: side of the square crop in pixels.

    Landmarks that all coincide give a matrix of scale 0: the crop shows that one point.
    """
    # As bytes, because an array cannot be the key of a cache; a recogniser has one template for all frames.
    target, target_mean, target_spread = _centred_target(np.asarray(template, np.float32).tobytes(), size)
    points = _complex_from_points(landmarks)  # [N, 5]
    mean = points.sum(axis=1) / 5
    # The target's sum is 0, so the points need not be centred here.
    match = points @ target.conj()  # [N] |match| * exp(i * angle of the face)
    points = points - mean[:, None]
    spread = np.sqrt(np.einsum("nk,nk->n", points, points.conj()).real / target_spread)
    length = np.abs(match)
    # Without any agreement (coincident or perfectly mirrored points) no angle is better: upright.
    none = length == 0
    turn = np.where(none, spread, spread * match / (length + none))
    shift = mean - turn * target_mean
    matrices = np.empty((len(points), 2, 3), np.float32)
    matrices[:, 0, 0] = matrices[:, 1, 1] = turn.real
    matrices[:, 1, 0] = turn.imag
    matrices[:, 0, 1] = -turn.imag
    matrices[:, 0, 2] = shift.real
    matrices[:, 1, 2] = shift.imag
    return matrices


def matrices_from_boxes(boxes: F32, size: int) -> F32:
    """Returns float32 [N, 2, 3] that stretch each xyxy box [N, 4] over a square crop of `size` pixels.

    For crops that come without landmarks; FER2013 frames its faces this way, tight from forehead to chin.
    """
    matrices = np.zeros((len(boxes), 2, 3), np.float32)
    matrices[:, 0, 0] = (boxes[:, 2] - boxes[:, 0]) / size
    matrices[:, 1, 1] = (boxes[:, 3] - boxes[:, 1]) / size
    matrices[:, :, 2] = boxes[:, :2]
    return matrices


@lru_cache(maxsize=8)
def _centred_target(template: bytes, size: int) -> tuple[NDArray[np.complex128], np.complex128, float]:
    """Returns the template's points about their mean, the mean, and the sum of squared distances from it."""
    points = _complex_from_points(np.frombuffer(template, np.float32).reshape(5, 2)) * size
    mean = points.mean()
    return points - mean, mean, float((np.abs(points - mean) ** 2).sum())


def _complex_from_points(points: F32) -> NDArray[np.complex128]:
    # Double precision: at 4K coordinates the centred products lose four digits in float32.
    return np.ascontiguousarray(points, np.float64).view(np.complex128)[..., 0]
