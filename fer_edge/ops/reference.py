"""The three operations in NumPy: their definition, the reference of all tests, and the fallback.

The documentation of the arguments holds for every target; `fer_edge.ops` selects the implementation. The
arithmetic allows bitwise equal compiled versions: integers where the result is an integer, float64 for the
few exponentials, otherwise float32 without fused multiply-add.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from fer_edge.arrays import F32, I32, U8

from . import checks

# Sample positions are rounded to 1/1024 of a pixel, so weights are small integers.
FRACTION_BITS = 10
ONE = np.float32(1 << FRACTION_BITS)
# The largest prefilter averages 64 x 64 pixels: enough for pictures that are shrunk by up to 128.
MAX_LEVEL = 6
STRIDES = (8, 16, 32)
# exp(8) strides are 95,000 px at the coarsest stride: larger than any frame, and far from overflow.
MAX_LOG_SIDE = 8.0
# Coordinates from here on are not real, and their squares and products would overflow in later stages.
MAX_POSITION = 2.0**24


def luma_from_bgr(bgr: U8, out: U8 | None = None) -> U8:
    """Converts BGR to luma: BT.601 full range, bitwise equal to `cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)`.

    Args:
        bgr: uint8 [H, W, 3]; any row stride.
        out: uint8 [H, W] to fill, with contiguous rows; a new array if None.

    Returns:
        uint8 [H, W]: `out`, or the new array.

    Raises:
        TypeError: an argument is not a uint8 array.
        ValueError: a shape is wrong, or `out` is read-only.
    """
    checks.check_luma_from_bgr(bgr, out)
    blue, green, red = (bgr[..., channel].astype(np.uint32) for channel in range(3))
    # 0.114, 0.587 and 0.299 in units of 2**-15, rounded as in OpenCV since 4.0.
    luma = ((3735 * blue + 19235 * green + 9798 * red + (1 << 14)) >> 15).astype(np.uint8)
    if out is None:
        # NumPy keeps the memory order of the frame, which may be by columns.
        return np.ascontiguousarray(luma)
    out[...] = luma
    return out


def warp_normalize(
    plane: U8,
    matrices: F32,
    out: F32,
    *,
    mean: float,
    scale: float,
    border: Literal["edge", "constant"] = "edge",
    fill: float = 0.0,
) -> None:
    """Samples one picture from the plane for each matrix: `(sample - mean) * scale`, bilinear, antialiased.

    Coordinates, here and everywhere in `fer_edge`, are continuous: the pixel in column i and row j covers
    [i, i + 1) x [j, j + 1) and has its centre at (i + 0.5, j + 0.5). A matrix maps output coordinates to
    coordinates of the plane; output pixel (x, y) is sampled at `matrix @ (x + 0.5, y + 0.5, 1)`.

    If a matrix steps over more than two pixels of the plane per output pixel, bilinear taps would skip
    pixels. So the plane is first halved until no pixel is skipped, at most six times (beyond 128 pixels per
    output pixel, pixels are skipped). Each halving averages 2 x 2 pixels and rounds (the levels of a mip map,
    Williams 1983). This reads each pixel once, in order, which costs less than several samples per output
    pixel. Shrinking by 2, 4, 8, ... along the axes is the area average.

    Args:
        plane: uint8 [H, W], at least one pixel; any row stride.
        matrices: float32 [N, 2, 3], C-contiguous. A NaN coordinate is treated as left of or above the plane,
            so every output is finite.
        out: float32 [N, 1, Sh, Sw] to fill, C-contiguous.
        mean: grey level that maps to 0.
        scale: factor applied after the mean is subtracted.
        border: value of taps outside the plane: the nearest pixel ("edge") or `fill` ("constant").
        fill: grey level outside the plane if border is "constant".

    Raises:
        TypeError: an array has the wrong type.
        ValueError: a shape or memory layout is wrong, or the border is unknown.
    """
    checks.check_warp_normalize(plane, matrices, out, border)
    outside = np.float32(fill) if border == "constant" else None
    levels = {0: plane}
    for matrix, picture in zip(matrices, out[:, 0], strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            level = level_from_matrix(matrix)
            if level not in levels:
                levels[level] = _mip_level(plane, level)
            samples = _samples(levels[level], matrix, level, picture.shape, outside)
        # Scaling by 1024 is exact, so this equals (sample - mean) * scale.
        picture[...] = (samples - np.float32(mean) * ONE) * (np.float32(scale) / ONE)


def level_from_matrix(matrix: F32) -> int:
    """The number of halvings, up to MAX_LEVEL, after which the matrix steps over at most two pixels for each
    output pixel; none for a matrix whose step is infinite or NaN.
    """
    (a, b, _), (c, d, _) = matrix
    pixels = np.sqrt(np.abs(a * d - b * c))
    if not 2 < pixels < math.inf:
        return 0
    return min(math.ceil(math.log2(pixels)) - 1, MAX_LEVEL)


def _mip_level(plane: U8, level: int) -> U8:
    """The plane after `level` halvings; an odd side is padded by repeating the last column or row."""
    for _ in range(level):
        padded = np.pad(plane, ((0, plane.shape[0] % 2), (0, plane.shape[1] % 2)), mode="edge")
        quads = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2)
        plane = ((quads.sum(axis=(1, 3), dtype=np.int32) + 2) >> 2).astype(np.uint8)
    return plane


def _samples(plane: U8, matrix: F32, level: int, shape: tuple[int, ...], outside: np.float32 | None) -> F32:
    """Bilinear samples of a mip level, float32 [Sh, Sw], in 1/1024 of a grey level."""
    x = np.arange(shape[1], dtype=np.float32) + np.float32(0.5)
    y = (np.arange(shape[0], dtype=np.float32) + np.float32(0.5))[:, None]
    fine = matrix * (ONE / np.float32(1 << level))
    column, u = _split(fine[0, 0] * x + (fine[0, 1] * y + fine[0, 2] - ONE / 2), plane.shape[1])
    row, v = _split(fine[1, 0] * x + (fine[1, 1] * y + fine[1, 2] - ONE / 2), plane.shape[0])

    def tap(row: I32, column: I32) -> F32:
        j, i = np.clip(row, 0, plane.shape[0] - 1), np.clip(column, 0, plane.shape[1] - 1)
        values = plane[j, i].astype(np.float32)
        return values if outside is None else np.where((j == row) & (i == column), values, outside)

    def between(row: I32) -> F32:
        left, right = tap(row, column), tap(row, column + 1)
        return left * ONE + (right - left) * u

    top, bottom = between(row), between(row + 1)
    return top + (bottom - top) * (v / ONE)


def _split(position: F32, length: int) -> tuple[I32, F32]:
    """Splits positions (1/1024 px) into the index of the tap before, from -1 to the length, and the rest."""
    # fmax and not maximum, because fmax turns NaN into the lower bound.
    bounded = np.fmin(np.fmax(position, -ONE), np.float32(length) * ONE)
    nearest = np.rint(bounded).astype(np.int32)
    return nearest >> FRACTION_BITS, (nearest & int(ONE) - 1).astype(np.float32)


def decode_faces(maps: Sequence[F32], *, threshold: float, overlap: float) -> tuple[F32, F32, F32]:
    """Decodes the raw outputs of the detector into faces, with non-maximum suppression.

    Each cell of a map proposes one face. Channels: 0 logit of the score; 1, 2 offset of the box centre from
    the cell centre, in strides; 3, 4 logarithm of width and height, in strides; 5 to 14 offsets x, y of five
    landmarks from the cell centre, in strides. A cell with a NaN logit, or with a box or landmarks that are
    not finite or further than 2 ** 24 pixels away, is never a face.

    Args:
        maps: three float32 [15, H / s, W / s], C-contiguous, for the strides s = 8, 16, 32.
        threshold: minimum score of a face, in [0, 1].
        overlap: maximum intersection over union of two faces that are both kept, in [0, 1].

    Returns:
        boxes float32 [N, 4] (xyxy), landmarks float32 [N, 5, 2], scores float32 [N] in [0, 1], in pixels of
        the network's input, best score first; equal scores in the order of stride, row, column.

    Raises:
        TypeError: a map is not a float32 array.
        ValueError: the number, shape or memory layout of the maps is wrong, or a limit is outside [0, 1].
    """
    checks.check_decode_faces(maps, threshold, overlap)
    proposals = [_proposals(level, stride, threshold) for level, stride in zip(maps, STRIDES, strict=True)]
    logits, boxes, landmarks = (np.concatenate(parts) for parts in zip(*proposals, strict=True))
    # Sorted by logit, because float32 scores are all 1 for logits above 17.
    order = np.argsort(-logits, kind="stable")
    kept = order[_distinct(boxes[order], np.float32(overlap))]
    with np.errstate(over="ignore"):
        scores = 1.0 / (1.0 + np.exp(-logits[kept].astype(np.float64)))
    return boxes[kept], landmarks[kept], scores.astype(np.float32)


def _proposals(level: F32, stride: int, threshold: float) -> tuple[F32, F32, F32]:
    """Logits [n], boxes [n, 4] and landmarks [n, 5, 2] of the cells that reach the threshold, row by row."""
    odds = threshold / (1.0 - threshold) if threshold < 1 else math.inf
    rows, columns = np.nonzero(level[0] >= np.float32(math.log(odds) if odds > 0 else -math.inf))
    values = level[:, rows, columns].T  # [n, 15]
    step = np.float32(stride)
    centre = (np.stack([columns, rows], axis=1).astype(np.float32) + np.float32(0.5)) * step  # [n, 2]
    with np.errstate(over="ignore", invalid="ignore"):
        middle = centre + values[:, 1:3] * step
        sides = np.exp(np.minimum(values[:, 3:5], np.float32(MAX_LOG_SIDE)).astype(np.float64)).astype(
            np.float32
        )
        half = sides * (step / 2)
        boxes = np.concatenate([middle - half, middle + half], axis=1)
        landmarks = centre[:, None] + values[:, 5:].reshape(-1, 5, 2) * step
    # False for NaN.
    real = (np.abs(boxes) < MAX_POSITION).all(axis=1) & (np.abs(landmarks) < MAX_POSITION).all(axis=(1, 2))
    return values[real, 0], boxes[real], landmarks[real]


def _distinct(boxes: F32, overlap: np.float32) -> npt.NDArray[np.intp]:
    """Indices of the boxes that no kept box before them overlaps by more than `overlap`."""
    left, top, right, bottom = boxes.T
    area = (right - left) * (bottom - top)
    kept: list[int] = []
    remaining = np.arange(len(boxes))
    while len(remaining):
        best, rest = remaining[0], remaining[1:]
        kept.append(int(best))
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        shared = np.maximum(width, np.float32(0)) * np.maximum(height, np.float32(0))
        # Without a division: two boxes of area 0 do not overlap.
        remaining = rest[shared <= overlap * (area[best] + area[rest] - shared)]
    return np.array(kept, dtype=np.intp)
