"""The operations by OpenCV's warp and colour conversion, for machines where the extension is not built.

It is much faster than NumPy, and differs from it in one respect: releases of OpenCV round the positions of
samples differently, the coarsest to 1/32 px (the reference: 1/1024 px). So a sample is taken within
MAX_SHIFT_PX of the reference's position along each axis, and its grey level differs by at most MAX_SHIFT_PX
times the sum of the largest differences between horizontal and between vertical neighbours. Luma and faces
are equal.

OpenCV is imported on the first call, so that importing fer_edge needs NumPy only.
"""

import functools
import importlib.util
import math
import sys
from typing import Any, Literal, NamedTuple

import numpy as np

from fer_edge.arrays import F32, F64, U8
from fer_edge.installation import libraries

from . import checks, reference
from .reference import decode_faces

__all__ = ["MAX_SHIFT_PX", "decode_faces", "is_installed", "luma_from_bgr", "warp_normalize"]

# Half of 1/32 px, and the roundings to 1/1024 px: two of OpenCV and one of the reference, each by half.
MAX_SHIFT_PX = 1 / 64 + 3 / 2048
# OpenCV has 16 bits for a position and for a side. The reference samples where a matrix reaches further out
# of the plane than this, or over more pixels.
MAX_REACH_PX = 16_000


def is_installed() -> bool:
    """Whether there is a module cv2 to import. The folder of an uninstalled one has no file."""
    if "cv2" in sys.modules:
        return sys.modules["cv2"] is not None
    spec = importlib.util.find_spec("cv2")
    return spec is not None and spec.origin is not None


@functools.cache
def _opencv() -> Any:
    try:
        return libraries.load("cv2")
    except ImportError as error:
        raise ImportError(f"{error}; or set FER_EDGE_OPS=reference, which is slow") from error


def luma_from_bgr(bgr: U8, out: U8 | None = None) -> U8:
    """See `reference.luma_from_bgr`."""
    checks.check_luma_from_bgr(bgr, out)
    # OpenCV refuses empty arrays.
    if bgr.size == 0:
        return reference.luma_from_bgr(bgr, out)
    cv2 = _opencv()
    # OpenCV writes into `out` only where its rows are in order.
    if out is not None and out.flags.c_contiguous:
        cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY, dst=out)
        return out
    luma: U8 = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    if out is None:
        return luma
    out[...] = luma
    return out


class Part(NamedTuple):
    """What a matrix reads: a mip level, and intervals of the plane that start at a pixel of that level."""

    level: int
    rows: slice
    columns: slice


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
    """See `reference.warp_normalize`; samples are shifted by up to MAX_SHIFT_PX."""
    checks.check_warp_normalize(plane, matrices, out, border)
    cv2 = _opencv()
    border_mode = cv2.BORDER_CONSTANT if border == "constant" else cv2.BORDER_REPLICATE
    for row, matrix in enumerate(matrices):
        picture = out[row, 0]
        part = part_from_matrix(matrix, plane.shape, picture.shape)
        if part is None:
            reference.warp_normalize(
                plane,
                matrices[row : row + 1],
                out[row : row + 1],
                mean=mean,
                scale=scale,
                border=border,
                fill=fill,
            )
            continue
        pixels = _mip_level(cv2, plane[part.rows, part.columns], part.level)
        cv2.warpAffine(
            # Samples of float32 pixels are not rounded to grey levels.
            pixels.astype(np.float32),
            _opencv_matrix(matrix, part),
            picture.shape[::-1],
            dst=picture,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=border_mode,
            borderValue=fill,
        )
        picture -= np.float32(mean)
        picture *= np.float32(scale)


def part_from_matrix(matrix: F32, plane: tuple[int, ...], picture: tuple[int, ...]) -> Part | None:
    """The part of a plane [H, W] that a picture [Sh, Sw] reads; None: only the reference can sample it."""
    lines = matrix.tolist()
    # The last comparison is False for NaN.
    is_real = all(abs(number) < reference.MAX_POSITION for line in lines for number in line)
    if 0 in picture or max(picture) > MAX_REACH_PX or not is_real:
        return None
    level = reference.level_from_matrix(matrix)
    step = 1 << level
    intervals = []
    for (along_x, along_y, offset), length in zip(lines[::-1], plane, strict=True):
        across, down = along_x * picture[1], along_y * picture[0]
        first = offset + min(across, 0) + min(down, 0)
        last = offset + max(across, 0) + max(down, 0)
        if first < -MAX_REACH_PX or last > length + MAX_REACH_PX:
            return None
        # Two pixels of the level more on each side: the neighbouring sample, and the shift.
        start = min(max(math.floor(first / step) - 2, 0), (length - 1) // step) * step
        stop = min(max((math.ceil(last / step) + 2) * step, start + step), length)
        if stop - start > MAX_REACH_PX * step:
            return None
        intervals.append(slice(start, stop))
    return Part(level, *intervals)


def _mip_level(cv2: Any, part: U8, level: int) -> U8:
    """As in the reference; OpenCV's area average of 2 x 2 pixels rounds in the same way."""
    for _ in range(level):
        height, width = part.shape
        if height % 2 or width % 2:
            part = cv2.copyMakeBorder(part, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        part = cv2.resize(part, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
    return part


def _opencv_matrix(matrix: F32, part: Part) -> F64:
    """The matrix between indices of pixels, whose centres OpenCV has at whole numbers."""
    step = 1 << part.level
    rows = []
    for (along_x, along_y, offset), interval in zip(matrix.tolist(), (part.columns, part.rows), strict=True):
        centre = (along_x + along_y) / 2 + offset
        rows.append((along_x / step, along_y / step, (centre - interval.start) / step - 0.5))
    return np.array(rows)
