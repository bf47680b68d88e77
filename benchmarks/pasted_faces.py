"""Frames with copies of one real face: that of the astronaut photograph (NASA, public domain, part of
scikit-image) on a plain gradient, so that the number of faces is known.
"""

import numpy as np
import skimage.data

from fer_edge.arrays import U8

FACE = (slice(30, 230), slice(125, 325))  # rows and columns of the photograph, 200 x 200 px
# The pasted faces are small and get lower scores than faces in photographs.
THRESHOLD = 0.3


def frame_with_faces(height: int, width: int, count: int) -> U8:
    """BGR u8 [height, width, 3] with ``count`` (a square number or 0) faces on a grid."""
    ramp = np.linspace(60, 160, width, dtype=np.uint8)
    frame = np.repeat(np.repeat(ramp[None], height, 0)[:, :, None], 3, 2).copy()
    if not count:
        return frame
    face = skimage.data.astronaut()[FACE][:, :, ::-1]
    per_side = round(count**0.5)
    side = min(len(face), height // per_side - 8)
    index = (np.arange(side) * len(face)) // side
    small = face[index][:, index]
    for row in range(per_side):
        for column in range(per_side):
            y = (2 * row + 1) * height // (2 * per_side) - side // 2
            x = (2 * column + 1) * width // (2 * per_side) - side // 2
            frame[y : y + side, x : x + side] = small
    return frame
