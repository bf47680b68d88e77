"""A picture of any size to the square that training reads, with its five landmarks.

The square is larger than the runtime's crop, so that a rotated and jittered crop still lies within it, and is
resized with antialiasing once. The crop itself is taken later, by training.data.crops.
"""

import math

import cv2
import numpy as np

from fer_edge.align import matrices_from_landmarks
from fer_edge.arrays import F32, U8
from fer_edge.detect import Detector
from training.data.crops import TEMPLATE

GREY = 118
# Side of the square in sides of the runtime's crop: a crop turned by 24 degrees, twice the jitter's
# deviation, and at its largest zoom needs 1.32 * 1.16 of it.
ROOM = 1.6


def landmarks_in_tight(image: U8, detect: Detector) -> F32:
    """f32 [5, 2] in pixels of a square picture that is one face, NaN where none is found.

    FER2013's pictures are cut so tightly that chin and forehead touch the border; the detector was trained on
    faces in a scene, so they get a margin.
    """
    side = len(image)
    margin = side // 2
    found = detect(_framed(image, margin))
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2 - margin
    sizes = found.boxes[:, 2:] - found.boxes[:, :2]
    # A face much smaller than the picture is a second person in the background.
    fits = ((centres > 0) & (centres < side)).all(1) & (sizes.max(1) > side / 2)
    if not fits.any():
        return np.full((5, 2), np.nan, np.float32)
    return found.landmarks[np.argmax(fits)] - np.float32(margin)


def landmarks_in_picture(luma: U8, detect: Detector) -> F32 | None:
    """f32 [5, 2] in pixels of the face that a picture is about, None where none is found.

    Looked for with a margin of a quarter of the longer side: a face that fills its picture needs one, and a
    small face loses little by it (of none, a quarter and a half, the quarter has the fewest landmarks that
    are far off, on tight crops and on whole photographs). Where that finds nothing, the picture as it is may.
    The largest face is the one that was labelled, unless the detector doubts it more than another by as much
    as it is larger.
    """
    height, width = luma.shape
    for margin in (max(height, width) // 4, 0):
        found = detect(_framed(luma, margin))
        centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2 - margin
        inside = ((centres > 0) & (centres < (width, height))).all(1)
        if inside.any():
            weights = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1) * found.scores * inside
            return found.landmarks[np.argmax(weights)] - np.float32(margin)
    return None


def square_from_picture(luma: U8, side: int, detect: Detector) -> tuple[U8, F32]:
    """u8 [side, side] around the face and its landmarks f32 [5, 2] there.

    Where no face is found it is the whole picture, stretched as the runtime stretches a crop that comes
    without landmarks, and NaN.
    """
    landmarks = landmarks_in_picture(luma, detect)
    if landmarks is None:
        return _resized(luma, side), np.full((5, 2), np.nan, np.float32)
    crop = matrices_from_landmarks(landmarks[None], np.array(TEMPLATE, np.float32), 1)[0]
    centre = crop @ np.array([0.5, 0.5, 1.0], np.float32)
    # Landmarks that coincide would give a square of nothing.
    half = max(float(np.hypot(crop[0, 0], crop[1, 0])) * ROOM / 2, 1.0)
    left, top = (math.floor(value - half) for value in centre)
    right, bottom = (math.ceil(value + half) for value in centre)
    size = max(right - left, bottom - top)
    corner = np.array([left, top], np.float32)
    square = _region(luma, left, top, size)
    return _resized(square, side), (landmarks - corner) * np.float32(side / size)


def _framed(image: U8, margin: int) -> U8:
    if not margin:
        return image
    return cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=GREY)


def _region(luma: U8, left: int, top: int, size: int) -> U8:
    """A square of a picture; beyond the border its edge goes on, as in the runtime's crops."""
    height, width = luma.shape
    rows = np.clip(np.arange(top, top + size), 0, height - 1)
    columns = np.clip(np.arange(left, left + size), 0, width - 1)
    return luma[np.ix_(rows, columns)]


def _resized(luma: U8, side: int) -> U8:
    if luma.shape == (side, side):
        return luma
    # INTER_AREA averages what falls on a pixel; where it would enlarge it only repeats pixels.
    smaller = min(luma.shape) >= side
    return cv2.resize(luma, (side, side), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
