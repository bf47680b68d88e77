"""A square around the face of a picture of any size, with its five landmarks, as training reads it.

The square is larger than the runtime's crop, so that a rotated and shifted crop still lies within it, and is
resized with antialiasing once. The crop itself is taken later, by training.data.crops.
"""

import math

import cv2
import numpy as np

from fer_edge.arrays import F32, U8
from fer_edge.detection.detect import Detector
from fer_edge.stages.align import matrices_from_landmarks
from training.data.crops import TEMPLATE

GREY = 118
# Side of the square over the side of the runtime's crop: a crop turned by 24 degrees (twice the standard
# deviation of the augmentation) at the largest zoom needs 1.32 * 1.16.
ROOM = 1.6


def landmarks_in_tight_picture(image: U8, detect: Detector) -> F32:
    """Landmarks f32 [5, 2] in pixels of a square picture of a single face, NaN where none is found.

    FER2013's pictures are cut so tightly that chin and forehead touch the border. The detector was trained on
    faces with surroundings, so the picture gets a margin.
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
    """Landmarks f32 [5, 2] in pixels of the main face of a picture, None where none is found.

    The picture first gets a margin of a quarter of its longer side, because a face that fills the picture
    needs one; of 0, 1/4 and 1/2, a quarter gave the fewest wrong landmarks on tight crops and on whole
    photographs. If that finds nothing, the picture is tried without a margin. The main face has the largest
    product of area and score.
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
    """The square u8 [side, side] around the face, and its landmarks f32 [5, 2] in the square.

    Without a face: the whole picture, stretched as the runtime stretches a crop without landmarks, and NaN.
    """
    landmarks = landmarks_in_picture(luma, detect)
    if landmarks is None:
        return _resized(luma, side), np.full((5, 2), np.nan, np.float32)
    return square_around_landmarks(luma, landmarks, side)


def square_around_landmarks(luma: U8, landmarks: F32, side: int) -> tuple[U8, F32]:
    """The square u8 [side, side] around a face with known landmarks f32 [5, 2], and these in the square."""
    crop = matrices_from_landmarks(landmarks[None], np.array(TEMPLATE, np.float32), 1)[0]
    centre = crop @ np.array([0.5, 0.5, 1.0], np.float32)
    # Landmarks that coincide would give a square of size 0.
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
    """A square part of a picture; beyond the border, edge pixels are repeated as in the runtime's crops."""
    height, width = luma.shape
    rows = np.clip(np.arange(top, top + size), 0, height - 1)
    columns = np.clip(np.arange(left, left + size), 0, width - 1)
    return luma[np.ix_(rows, columns)]


def _resized(luma: U8, side: int) -> U8:
    if luma.shape == (side, side):
        return luma
    # INTER_AREA averages the pixels under an output pixel; when it enlarges, it only repeats pixels.
    smaller = min(luma.shape) >= side
    return cv2.resize(luma, (side, side), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
