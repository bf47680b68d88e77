"""Checks of the arguments of the operations; csrc/bindings.cpp has the same checks and messages.

They are not in reference.py, so that reference.py contains only the arithmetic.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fer_edge.arrays import F32, U8

BORDERS = ("edge", "constant")
# Positions in 1/1024 of a pixel stay within 32 bits.
MAX_SIDE = 1 << 20


def check_luma_from_bgr(bgr: U8, out: U8 | None) -> None:
    """Raises TypeError or ValueError unless the arguments are as documented in `reference.luma_from_bgr`."""
    _check_type("bgr", bgr, np.uint8, "uint8 [H, W, 3]")
    if bgr.ndim != 3 or bgr.shape[2] != 3:
        raise ValueError(f"bgr must be uint8 [H, W, 3], got {_describe(bgr)}; a grey frame is luma already")
    if out is None:
        return
    _check_type("out", out, np.uint8, "uint8 [H, W]")
    height, width, _ = bgr.shape
    if out.shape != (height, width):
        raise ValueError(
            f"out must be uint8 [{height}, {width}], got {_describe(out)}; allocate it for the frame"
        )
    _check_rows("out", out)
    _check_writeable(out)


def check_warp_normalize(plane: U8, matrices: F32, out: F32, border: str) -> None:
    """Raises TypeError or ValueError unless the arguments are as documented in `reference.warp_normalize`."""
    _check_plane(plane)
    _check_type("matrices", matrices, np.float32, "float32 [N, 2, 3]")
    if matrices.ndim != 3 or matrices.shape[1:] != (2, 3):
        raise ValueError(
            f"matrices must be float32 [N, 2, 3], got {_describe(matrices)}; one [2, 3] for each picture"
        )
    _check_contiguous("matrices", matrices)
    count = len(matrices)
    _check_type("out", out, np.float32, "float32 [N, 1, height, width]")
    if out.ndim != 4 or out.shape[:2] != (count, 1):
        raise ValueError(
            f"out must be float32 [{count}, 1, height, width], got {_describe(out)}; one for each matrix"
        )
    _check_contiguous("out", out)
    _check_writeable(out)
    if border not in BORDERS:
        raise ValueError(f"border must be edge or constant, got {border}; choose one of them")


def check_decode_faces(maps: Sequence[F32], threshold: float, overlap: float) -> None:
    """Raises TypeError or ValueError unless the arguments are as documented in `reference.decode_faces`."""
    if len(maps) != 3:
        raise ValueError(f"maps must be 3 arrays, got {len(maps)}; one for each of the strides 8, 16, 32")
    for index, level in enumerate(maps):
        expected = "float32 [15, H / stride, W / stride]"
        _check_type(f"maps[{index}]", level, np.float32, expected)
        if level.ndim != 3 or level.shape[0] != 15:
            raise ValueError(f"maps[{index}] must be {expected}, got {_describe(level)}; drop the batch axis")
        _check_contiguous(f"maps[{index}]", level)
    for name, value in (("threshold", threshold), ("overlap", overlap)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {value:g}; it is a share, not a percentage")


def _check_plane(plane: U8) -> None:
    _check_type("plane", plane, np.uint8, "uint8 [H, W]")
    if plane.ndim != 2:
        raise ValueError(
            f"plane must be uint8 [H, W], got {_describe(plane)}; reduce colours with luma_from_bgr"
        )
    if plane.size == 0:
        raise ValueError(f"plane must have at least one pixel, got {_describe(plane)}; skip empty frames")
    if max(plane.shape) > MAX_SIDE:
        raise ValueError(f"plane must be at most {MAX_SIDE} pixels a side, got {_describe(plane)}; cut it")
    _check_rows("plane", plane)


def _describe(array: npt.NDArray[np.generic]) -> str:
    return f"{array.dtype} [{', '.join(map(str, array.shape))}]"


def _check_type(name: str, array: object, dtype: type[np.generic], expected: str) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be {expected}, got {type(array).__name__}; pass a NumPy array")
    if array.dtype != dtype:
        raise TypeError(f"{name} must be {expected}, got {_describe(array)}; convert it with astype")


def _check_contiguous(name: str, array: npt.NDArray[np.generic]) -> None:
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{name} must be C-contiguous, got strides {array.strides}; use numpy.ascontiguousarray"
        )


def _check_rows(name: str, array: npt.NDArray[np.generic]) -> None:
    if array.size > 0 and array.shape[1] > 1 and array.strides[1] != 1:
        raise ValueError(
            f"{name} must have contiguous rows, got strides {array.strides}; use numpy.ascontiguousarray"
        )


def _check_writeable(out: npt.NDArray[np.generic]) -> None:
    if not out.flags.writeable:
        raise ValueError("out must be writeable, got a read-only array; copy it first")
