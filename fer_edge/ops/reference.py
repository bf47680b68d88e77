"""The three operations in NumPy: the definition that compiled targets are tested against, and the fall-back.

Arguments are as documented here for every target; `fer_edge.ops` chooses the implementation. The arithmetic
is such that a compiled copy can give the same bits: integers where the result is an integer, float32 without
fused multiply-add elsewhere, and float64 for the few exponentials.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from fer_edge.arrays import F32, I32, U8

from . import checks

# A sample's position is rounded to 1/1024 of a pixel, so that weights are small integers.
FRACTION_BITS = 10
ONE = np.float32(1 << FRACTION_BITS)
# The widest prefilter averages 64 x 64 pixels; no picture is shrunk by more than 128.
MAX_LEVEL = 6
STRIDES = (8, 16, 32)
# exp(8) strides are 95,000 px at the coarsest stride: beyond any frame, and still far from overflow.
MAX_LOG_SIDE = 8.0


def luma_from_bgr(bgr: U8, out: U8 | None = None) -> U8:
    """Reduce colours to luma: BT.601 full range, bit for bit as `cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)`.

    Args:
        bgr: uint8 [H, W, 3]; any row stride.
        out: uint8 [H, W] to fill, with contiguous rows; a new array if None.

    Returns:
        uint8 [H, W]: `out`, or the new array.

    Raises:
        TypeError: an argument is not a uint8 array.
        ValueError: a shape does not fit, or `out` cannot be written to.
    """
    checks.check_luma_from_bgr(bgr, out)
    blue, green, red = (bgr[..., channel].astype(np.uint32) for channel in range(3))
    # 0.114, 0.587 and 0.299 in units of 2**-15, OpenCV's rounding since 4.0.
    luma = ((3735 * blue + 19235 * green + 9798 * red + (1 << 14)) >> 15).astype(np.uint8)
    if out is None:
        return luma
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
    """Sample a picture from the plane for each matrix: `(sample - mean) * scale`, bilinear, without aliasing.

    Coordinates, here and everywhere in `fer_edge`, are continuous: the pixel in column i and row j covers
    [i, i + 1) x [j, j + 1) and has its centre at (i + 0.5, j + 0.5). A matrix maps output coordinates to
    coordinates of the plane; output pixel (x, y) is sampled at `matrix @ (x + 0.5, y + 0.5, 1)`.

    Where a matrix takes more than two pixels of the plane per pixel of the output, bilinear taps would skip
    pixels, so the plane is first halved until the taps skip none: each halving averages 2 x 2 pixels and
    rounds (the levels of a mip map, Williams 1983). That touches each pixel once, in order, which costs less
    than sampling every output pixel several times; and shrinking by 2, 4, 8, ... along the axes is the
    average over the area.

    Args:
        plane: uint8 [H, W], at least one pixel; any row stride.
        matrices: float32 [N, 2, 3], C-contiguous. Coordinates that are not numbers count as left of or above
            the plane, so every output is finite.
        out: float32 [N, 1, Sh, Sw] to fill, C-contiguous.
        mean: grey level that becomes 0.
        scale: factor after the mean is taken off.
        border: what taps outside the plane read: its nearest pixel, or `fill`.
        fill: grey level outside the plane for the border "constant".

    Raises:
        TypeError: an array has another type than stated.
        ValueError: a shape or layout does not fit, or the border is unknown.
    """
    checks.check_warp_normalize(plane, matrices, out, border)
    outside = np.float32(fill) if border == "constant" else None
    levels = {0: plane}
    for matrix, picture in zip(matrices, out[:, 0], strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            level = _level_from_matrix(matrix)
            if level not in levels:
                levels[level] = _mip_level(plane, level)
            samples = _samples(levels[level], matrix, level, picture.shape, outside)
        # The factors of 1024 are exact: this is (sample - mean) * scale.
        picture[...] = (samples - np.float32(mean) * ONE) * (np.float32(scale) / ONE)


def _level_from_matrix(matrix: F32) -> int:
    """The number of halvings after which the matrix takes at most two pixels per output pixel."""
    (a, b, _), (c, d, _) = matrix
    pixels = np.sqrt(np.abs(a * d - b * c))
    if not 2 < pixels <= 2 << MAX_LEVEL:
        return 0
    return math.ceil(math.log2(pixels)) - 1


def _mip_level(plane: U8, level: int) -> U8:
    """The plane halved so many times; what is odd is completed by repeating the last column or row."""
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
    """Each position (in 1/1024 px) as the index of the tap before it, from -1 to the length, and the rest."""
    # fmax, not maximum: what is not a number becomes the lower bound.
    bounded = np.fmin(np.fmax(position, -ONE), np.float32(length) * ONE)
    nearest = np.rint(bounded).astype(np.int32)
    return nearest >> FRACTION_BITS, (nearest & int(ONE) - 1).astype(np.float32)


def decode_faces(maps: Sequence[F32], *, threshold: float, overlap: float) -> tuple[F32, F32, F32]:
    """Turn the detector's raw outputs into faces; of two that overlap too much only the better one is kept.

    Each cell of a map proposes one face. Channels: 0 the score's logit; 1, 2 the box's centre from the
    cell's, in strides; 3, 4 the logarithm of its width and height in strides; 5 to 14 five landmarks x, y
    from the cell's centre, in strides. A cell whose logit is not a number, or whose box or landmarks are not
    finite, is never a face.

    Args:
        maps: three float32 [15, H / s, W / s], C-contiguous, for the strides s = 8, 16, 32.
        threshold: smallest score of a face, in [0, 1].
        overlap: largest intersection over union of two faces that are both kept, in [0, 1].

    Returns:
        boxes float32 [N, 4] (xyxy), landmarks float32 [N, 5, 2], scores float32 [N] in [0, 1], in pixels of
        the network's input, best score first; equal scores stand in the order of stride, row, column.

    Raises:
        TypeError: a map is not a float32 array.
        ValueError: the number, shape or layout of the maps does not fit, or a limit is outside [0, 1].
    """
    checks.check_decode_faces(maps, threshold, overlap)
    proposals = [_proposals(level, stride, threshold) for level, stride in zip(maps, STRIDES, strict=True)]
    logits, boxes, landmarks = (np.concatenate(parts) for parts in zip(*proposals, strict=True))
    # By logit, not by score: above 17 the float32 scores are all 1.
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
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(landmarks).all(axis=(1, 2))
    return values[finite, 0], boxes[finite], landmarks[finite]


def _distinct(boxes: F32, overlap: np.float32) -> npt.NDArray[np.intp]:
    """Indices of the boxes that no better one, standing before them, overlaps by more than allowed."""
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
        # Without a division, two boxes of no area do not overlap.
        remaining = rest[shared <= overlap * (area[best] + area[rest] - shared)]
    return np.array(kept, dtype=np.intp)
