"""From a frame of a camera or file to the luma plane that all later stages read.

The networks read luma only, so a colour frame is converted once, here. A Y plane of a camera is used as it
is. Pictures are also checked here; later stages rely on uint8 [H, W] planes with contiguous rows.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from fer_edge import ops
from fer_edge.arrays import F32, U8, Picture
from fer_edge.buffers import MAX_KEPT_BYTES, ThreadBuffer
from fer_edge.ops.checks import MAX_SIDE

Layout = Literal["bgr", "grey", "nv12"]
LAYOUTS = ("bgr", "grey", "nv12")
# As for the faces that a detector finds, see ops.reference.MAX_POSITION.
MAX_LANDMARK_PX = 2.0**24

_FRAME = "uint8 [H, W, 3] BGR, [H, W] grey, or NV12 [H * 3 / 2, W] with layout='nv12'"
_CROP = "uint8 [h, w, 3] BGR or [h, w] grey"


def layout_of_frame(frame: Any, layout: Layout | None) -> Layout:
    """Checks a frame and returns its layout.

    Raises:
        TypeError: the frame is not an array, or not uint8.
        ValueError: the shape fits no layout, the frame is empty, or the layout is unknown.
    """
    found = _layout_of_picture("frame", frame, _FRAME)
    if layout is None:
        return found
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)} or None, got {layout!r}")
    if layout == "nv12" and (frame.ndim != 2 or frame.shape[0] % 3 or frame.shape[1] % 2):
        raise ValueError(
            f"an NV12 frame must be uint8 [H * 3 / 2, W] with even H and W, got {_describe(frame)}"
        )
    if layout != "nv12" and layout != found:
        raise ValueError(f"layout is {layout!r}, but the frame is {_describe(frame)}; leave layout out")
    return layout


def luma_from_frame(frame: Picture, layout: Layout, out: U8 | None = None) -> U8:
    """Returns the luma plane uint8 [H, W]: `out` for BGR, a view of the frame for grey and NV12."""
    if layout == "bgr":
        return ops.luma_from_bgr(frame, out)
    plane = frame[: frame.shape[0] * 2 // 3] if layout == "nv12" else frame
    # The kernels accept any row stride, but need contiguous pixels in a row and rows in downward order.
    return plane if plane.strides[1] == 1 and plane.strides[0] > 0 else np.ascontiguousarray(plane)


def plane_of_frame(frame: Picture, layout: Layout | None, memory: ThreadBuffer[np.uint8]) -> U8:
    """Checks a frame and returns its luma plane, valid until the thread uses this memory again.

    Raises: as layout_of_frame.
    """
    layout = layout_of_frame(frame, layout)
    # Only BGR needs memory for its luma; grey and NV12 are views of the frame.
    is_kept = layout == "bgr" and frame.shape[0] * frame.shape[1] <= MAX_KEPT_BYTES
    return luma_from_frame(frame, layout, memory.reserve(frame.shape[:2]) if is_kept else None)


def planes_from_crops(crops: Sequence[Picture] | Picture) -> list[U8]:
    """Checks crops and returns their luma planes; raises as layout_of_frame, with the index of the crop."""
    if not isinstance(crops, Sequence | np.ndarray):
        raise TypeError(f"crops must be a sequence of {_CROP}, got {type(crops).__name__}")
    if isinstance(crops, np.ndarray) and (crops.ndim < 3 or (crops.ndim == 3 and crops.shape[2] == 3)):
        raise ValueError(
            f"crops must be a sequence of {_CROP}, got one array {_describe(crops)}; wrap it in a list"
        )
    planes = []
    for index, crop in enumerate(crops):
        layout = _layout_of_picture(f"crops[{index}]", crop, _CROP)
        planes.append(luma_from_frame(crop, layout))
    return planes


def checked_landmarks(landmarks: Any, count: int) -> F32:
    """Returns landmarks as float32 [N, 5, 2]; raises TypeError or ValueError if they are invalid."""
    expected = f"landmarks must be finite numbers [{count}, 5, 2] in pixels of each crop, one set a crop"
    try:
        points = np.asarray(landmarks)
    except ValueError as error:
        raise ValueError(f"{expected}, got lists of different lengths") from error
    if points.dtype.kind not in "fiu":
        raise TypeError(f"{expected}, got {_describe(points)}")
    if count == 0 and points.shape == (0,):
        # What an empty list becomes.
        points = points.reshape(0, 5, 2)
    if points.shape != (count, 5, 2):
        raise ValueError(f"{expected}, got {_describe(points)}")
    # False for NaN.
    if not (np.abs(points.astype(np.float64)) < MAX_LANDMARK_PX).all():
        raise ValueError(f"{expected}, got NaN or infinity, or more than 2 ** 24; leave such crops out")
    return points.astype(np.float32)


def _layout_of_picture(name: str, picture: Any, expected: str) -> Literal["bgr", "grey"]:
    if not isinstance(picture, np.ndarray):
        fix = "; cv2.imread and VideoCapture.read give None when they fail" if picture is None else ""
        got = "None" if picture is None else type(picture).__name__
        raise TypeError(f"{name} must be a NumPy array, {expected}, got {got}{fix}")
    if picture.dtype != np.uint8:
        raise TypeError(f"{name} must be {expected}, got {_describe(picture)}; {_suggest_cast(picture)}")
    if picture.size == 0:
        raise ValueError(f"{name} is empty: got {_describe(picture)}; expected {expected}")
    if max(picture.shape, default=0) > MAX_SIDE:
        raise ValueError(f"{name} must be at most {MAX_SIDE} pixels a side, got {_describe(picture)}; cut it")
    if picture.ndim == 2:
        return "grey"
    if picture.ndim == 3 and picture.shape[2] == 3:
        return "bgr"
    fix = ""
    if picture.ndim == 3 and picture.shape[2] in (1, 4):
        fix = (
            "; drop the alpha with [..., :3]"
            if picture.shape[2] == 4
            else "; drop the last axis with [..., 0]"
        )
    raise ValueError(f"{name} must be {expected}, got {_describe(picture)}{fix}")


def _describe(array: np.ndarray[Any, Any]) -> str:
    return f"{array.dtype} [{', '.join(map(str, array.shape))}]"


def _suggest_cast(picture: np.ndarray[Any, Any]) -> str:
    if picture.dtype.kind == "f":
        if not np.isfinite(picture).all():
            return "it holds NaN or infinity; check where it comes from"
        return (
            "multiply by 255 and cast"
            if picture.size and picture.max() <= 1
            else "cast with .astype(numpy.uint8)"
        )
    if picture.dtype == np.uint16:
        return "take the upper byte: (frame >> 8).astype(numpy.uint8)"
    return "cast with .astype(numpy.uint8)"
