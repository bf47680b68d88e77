"""Photographs changed so that an expression is hard to read, for `training.evaluate_abstention`.

Each change keeps the face where it is: the head rolled in the picture's plane, the picture cut through the
face, exposures that a camera gives in the dark, against the light or in fog, and covered features.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from fer_edge.arrays import F32, U8
from fer_edge.result import Face

ROLLS = (60, 90, 120, 150, 180, -60, -90, -120, -150)  # degrees
CUT = 0.35  # share of the face that is cut off
Point = tuple[float, float]


def changed(picture: U8, face: Face) -> Iterator[tuple[str, U8, Point]]:
    """Yields (name, picture u8 [h, w], centre of the face in it) for one upright face."""
    x0, y0, x1, y1 = face.box
    centre = ((x0 + x1) / 2, (y0 + y1) / 2)
    for degrees in ROLLS:
        yield f"rolled by {abs(degrees)} degrees", _rolled(picture, centre, degrees), centre
    bottom, right, top = int(y1 - CUT * (y1 - y0)), int(x1 - CUT * (x1 - x0)), int(y0 + CUT * (y1 - y0))
    yield "bottom cut off", picture[:bottom], centre
    yield "side cut off", picture[:, :right], centre
    yield "top cut off", picture[top:], (centre[0], centre[1] - top)
    yield "values / 8", picture // 8, centre
    yield "values x 4", np.minimum(picture.astype(np.int32) * 4, 255).astype(np.uint8), centre
    yield "contrast x 0.1", (112 + (picture.astype(np.float32) - 128) * 0.1).astype(np.uint8), centre
    landmarks = np.array(face.landmarks, np.float32)
    for grey in (200, 90):
        yield "mouth covered", _filled(picture, _mouth(landmarks), grey), centre
    yield "eyes covered", _filled(picture, _eyes(landmarks), 30), centre


def nearest(faces: list[Face], centre: Point, reach: float) -> Face | None:
    """The face whose centre is nearest to a point, None if none is within ``reach`` px."""
    best, least = None, reach
    for face in faces:
        x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
        away = float(np.hypot(x - centre[0], y - centre[1]))
        if away < least:
            best, least = face, away
    return best


def _rolled(picture: U8, centre: Point, degrees: float) -> U8:
    matrix = cv2.getRotationMatrix2D(centre, -degrees, 1.0)
    size = (picture.shape[1], picture.shape[0])
    rolled: U8 = cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return rolled


def _mouth(landmarks: F32) -> F32:
    """The outline of a mask, float32 [4, 2]."""
    across, down, mouth = _axes(landmarks)
    nose = landmarks[2]
    upper = [nose - 0.95 * across - 0.05 * down, nose + 0.95 * across - 0.05 * down]
    return np.stack([*upper, mouth + 0.75 * across + 0.55 * down, mouth - 0.75 * across + 0.55 * down])


def _eyes(landmarks: F32) -> F32:
    """The outline of a bar over the eyes, float32 [4, 2]."""
    across, down, _ = _axes(landmarks)
    right, left = landmarks[0] - 0.6 * across, landmarks[1] + 0.6 * across
    return np.stack([right - 0.3 * down, left - 0.3 * down, left + 0.25 * down, right + 0.25 * down])


def _axes(landmarks: F32) -> tuple[F32, F32, F32]:
    """From eye to eye, from the eyes to the mouth, and the middle of the mouth."""
    mouth = (landmarks[3] + landmarks[4]) / 2
    return landmarks[1] - landmarks[0], mouth - (landmarks[0] + landmarks[1]) / 2, mouth


def _filled(picture: U8, outline: F32, grey: int) -> U8:
    copy = picture.copy()
    cv2.fillPoly(copy, [outline.astype(np.int32)], (grey,))
    return copy
