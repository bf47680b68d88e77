"""From five landmarks to the matrix of an upright face crop of fixed size. No pixels are read here.

A similarity in the plane is a multiplication by one complex number plus a shift. So the fit has a closed form
for all faces at once, without a singular value decomposition. Rotation and shift are the least-squares
solution (Umeyama 1991). The scale is the ratio of the two spreads, the symmetric solution of Horn (1987,
section 2.E). Umeyama's scale depends on which point set is taken as noisy. In the direction that is usual for
faces it tends to infinity for landmarks that fit badly (swapped sides, a false detection), and one such face
would cost as much as a frame.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32

_GRID = 16  # points a side in outside_shares


def matrices_from_landmarks(landmarks: F32, template: F32, size: int) -> F32:
    """Returns float32 [N, 2, 3] that map continuous crop pixels to continuous frame pixels.

    Args:
        landmarks: [N, 5, 2] in frame pixels.
        template: [5, 2], target positions of the landmarks, as fractions of the crop's side in [0, 1].
        size: side of the square crop in pixels.

    If all landmarks coincide, the matrix has scale 0 and the crop shows this one point.
    """
    # Bytes, because an array cannot be a cache key. A Recognizer uses one template for all frames.
    target, target_mean, target_spread = _centred_target(np.asarray(template, np.float32).tobytes(), size)
    points = _complex_from_points(landmarks)  # [N, 5]
    mean = points.sum(axis=1) / 5
    # The points of the target sum to 0, so `points` need not be centred for this product.
    match = points @ target.conj()  # [N] |match| * exp(i * angle of the face)
    points = points - mean[:, None]
    spread = np.sqrt(np.einsum("nk,nk->n", points, points.conj()).real / target_spread)
    length = np.abs(match)
    # For coincident or exactly mirrored points no angle fits better than another: keep the crop upright.
    undefined = length == 0
    turn = np.where(undefined, spread, spread * match / (length + undefined))
    shift = mean - turn * target_mean
    matrices = np.empty((len(points), 2, 3), np.float32)
    matrices[:, 0, 0] = matrices[:, 1, 1] = turn.real
    matrices[:, 1, 0] = turn.imag
    matrices[:, 0, 1] = -turn.imag
    matrices[:, 0, 2] = shift.real
    matrices[:, 1, 2] = shift.imag
    return matrices


def matrices_from_boxes(boxes: F32, size: int) -> F32:
    """Returns float32 [N, 2, 3] that map a square crop of `size` pixels to each xyxy box [N, 4].

    For faces without landmarks. FER2013 has such crops: tight, from forehead to chin.
    """
    matrices = np.zeros((len(boxes), 2, 3), np.float32)
    matrices[:, 0, 0] = (boxes[:, 2] - boxes[:, 0]) / size
    matrices[:, 1, 1] = (boxes[:, 3] - boxes[:, 1]) / size
    matrices[:, :, 2] = boxes[:, :2]
    return matrices


def outside_shares(matrices: F32, size: int, height: int, width: int) -> F32:
    """Returns the share of each crop that lies outside a frame of `height` x `width` pixels, float32 [N].

    Counted on a grid of 16 x 16 points of the crop.
    """
    corners = matrices @ np.array([(0, size, 0, size), (0, 0, size, size), (1, 1, 1, 1)], np.float32)
    if corners.min(initial=0) >= 0 and (corners.max(axis=2, initial=0) <= (width, height)).all():
        return np.zeros(len(matrices), np.float32)  # all inside, as most faces
    steps = (np.arange(_GRID, dtype=np.float32) + np.float32(0.5)) * np.float32(size / _GRID)
    across, down = np.meshgrid(steps, steps)
    points = np.stack([across.ravel(), down.ravel(), np.ones(_GRID * _GRID, np.float32)])
    x, y = np.moveaxis(matrices @ points, 1, 0)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    share: F32 = np.float32(1) - inside.mean(axis=1, dtype=np.float32)
    return share


@lru_cache(maxsize=8)
def _centred_target(template: bytes, size: int) -> tuple[NDArray[np.complex128], np.complex128, float]:
    """Returns the centred points of the template, their mean, and their sum of squared distances to it."""
    points = _complex_from_points(np.frombuffer(template, np.float32).reshape(5, 2)) * size
    mean = points.mean()
    return points - mean, mean, float((np.abs(points - mean) ** 2).sum())


def _complex_from_points(points: F32) -> NDArray[np.complex128]:
    # Double precision, because centred products of 4K coordinates lose four digits in float32.
    return np.ascontiguousarray(points, np.float64).view(np.complex128)[..., 0]
