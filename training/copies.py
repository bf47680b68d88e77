"""Exact and near copies between sets of pictures, so that no test picture was seen in training.

Two 64-bit difference hashes of a picture, one along the rows and one along the columns, find candidates (N.
Krawetz); the correlation of the pixels decides, so that two different faces in like light are not called
copies.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

HASH_SIDE = 8
MAX_DISTANCE = 20  # of 128 bits; unrelated pictures differ in about 64
# Of 48 x 48 px. Looked at in FER+: from 0.9 all pairs are copies with another crop or watermark; between 0.87
# and 0.9 some are two frontal faces before a like background. Leaving out a few rows too many costs nothing,
# a leak costs the result.
MIN_CORRELATION = 0.87


def hashes_from_images(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """u8 [n, H, W] to +-1 float32 [n, 128], so that a matrix product counts the bits that agree."""
    bits = np.empty((len(images), 2 * HASH_SIDE * HASH_SIDE), np.float32)
    for row, image in zip(bits, images, strict=True):
        thumb = cv2.resize(image, (HASH_SIDE + 1, HASH_SIDE + 1), interpolation=cv2.INTER_AREA).astype(int)
        across = thumb[:-1, 1:] > thumb[:-1, :-1]
        down = thumb[1:, :-1] > thumb[:-1, :-1]
        row[:] = np.concatenate([across.ravel(), down.ravel()])
    return bits * 2 - 1


def copies_between(
    images: NDArray[np.uint8], others: NDArray[np.uint8], block: int = 1024
) -> list[tuple[int, int, float]]:
    """Pairs (index, index of the other, correlation) that show the same picture, mirrored copies included."""
    ours, theirs = _standardised(images), _standardised(others)
    pairs: dict[tuple[int, int], float] = {}
    for mirrored in (False, True):
        seen = images[:, :, ::-1] if mirrored else images
        a, b = hashes_from_images(np.ascontiguousarray(seen)), hashes_from_images(others)
        least = a.shape[1] - 2 * MAX_DISTANCE
        for start in range(0, len(a), block):
            for i, j in zip(*np.nonzero(a[start : start + block] @ b.T >= least), strict=True):
                one = ours[start + i][:, ::-1] if mirrored else ours[start + i]
                correlation = float((one * theirs[j]).mean())
                if correlation >= MIN_CORRELATION:
                    key = (int(start + i), int(j))
                    pairs[key] = max(correlation, pairs.get(key, 0.0))
    return [(i, j, c) for (i, j), c in sorted(pairs.items())]


def _standardised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    x = images.astype(np.float32)
    x -= x.mean((1, 2), keepdims=True)
    x /= np.maximum(x.std((1, 2), keepdims=True), 1e-3)
    return x
