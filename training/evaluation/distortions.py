"""Distortions by a camera, each at several levels, applied before the runtime cuts out the face.

Pictures are changed before the crop is sampled, as in use, so that alignment and interpolation are the
runtime's. The landmarks are those of the unchanged picture; how distortions affect the detector is not
measured here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from fer_edge import ops
from fer_edge.arrays import F32, F64, U8
from training.data.crops import MEAN, SCALE, correct_exposure, crop_matrices
from training.data.split import Split

Matrix = F64

FER_SIDE = 48  # px of the pictures in which blur is stated; larger pictures are blurred in proportion


@dataclass(frozen=True, slots=True)
class Scene:
    """Pictures u8 [H, W], each of any size, and f32 [n, 2, 3] from crop to picture."""

    planes: Sequence[U8]
    matrices: F32


# (split, side of the crop in px, level) -> pictures and crops
Change = Callable[[Split, int, float], Scene]


@dataclass(frozen=True, slots=True)
class Distortion:
    """A change at increasing ``levels``; at the level ``plain``, if any, it changes nothing; ``cases`` are
    the ways to align.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    plain: float | None
    cases: Mapping[str, Change]


def inputs_from_scene(scene: Scene, size: int) -> F32:
    """Network inputs float32 [n, 1, size, size], as the runtime samples them and corrects their exposure."""
    luma = correct_exposure(torch.from_numpy(crops_from_scene(scene, size))).numpy()
    return (luma - np.float32(MEAN)) * np.float32(SCALE)


def crops_from_scene(scene: Scene, size: int) -> F32:
    """The crops as the runtime samples and measures them: luma float32 [n, 1, size, size]."""
    luma = np.empty((len(scene.planes), 1, size, size), np.float32)
    for k, plane in enumerate(scene.planes):
        ops.warp_normalize(plane, scene.matrices[k : k + 1], luma[k : k + 1], mean=0, scale=1)
    return luma


def rolled(split: Split, size: int, degrees: float) -> Scene:
    """The face turned clockwise in the crop: a roll that the alignment missed."""
    matrices = crop_matrices(split, size)
    return Scene(split.images, _composed(matrices, _about(size / 2, -degrees, 1.0)))


def rolled_and_aligned(split: Split, size: int, degrees: float) -> Scene:
    """Picture and landmarks turned clockwise, so that the alignment turns them back."""
    side = split.side
    canvas = math.ceil(side * math.sqrt(2))
    turn = _about(side / 2, degrees, 1.0)
    turn[:, 2] += (canvas - side) / 2
    # OpenCV counts from the centre of the first pixel, the matrices from its outer edge.
    half = np.full(2, 0.5)
    indexed = np.c_[turn[:, :2], turn[:, :2] @ half + turn[:, 2] - half]
    planes = [
        cv2.warpAffine(image, indexed, (canvas, canvas), borderMode=cv2.BORDER_REPLICATE)
        for image in split.images
    ]
    aligned = _after(turn, crop_matrices(split, size))
    # Without landmarks the roll is unknown: the crop stays upright in the turned picture.
    upright = _composed(aligned, _about(size / 2, -degrees, 1.0))
    return Scene(planes, np.where(split.found[:, None, None], aligned, upright).astype(np.float32))


def scaled(split: Split, size: int, factor: float) -> Scene:
    """The face ``factor`` times as large in the crop: an inexact box or landmarks."""
    return Scene(split.images, _composed(crop_matrices(split, size), _about(size / 2, 0.0, 1 / factor)))


def blurred(split: Split, size: int, sigma: float) -> Scene:
    """Gaussian blur with standard deviation ``sigma`` in px of a picture of 48 px."""
    spread = sigma * split.side / FER_SIDE
    return _repainted(split, size, lambda image: cv2.GaussianBlur(image, (0, 0), spread) if sigma else image)


def noisy(split: Split, size: int, deviation: float) -> Scene:
    """White noise with a standard deviation in grey levels."""
    rng = np.random.default_rng(0)

    def add(image: U8) -> U8:
        return _grey(image + rng.normal(size=image.shape) * deviation)

    return _repainted(split, size, add)


def brightened(split: Split, size: int, gamma: float) -> Scene:
    """Grey levels in [0, 1] to the power of ``gamma``: brighter below 1, darker above."""
    table = _grey(255 * (np.arange(256) / 255) ** gamma)
    return _repainted(split, size, lambda image: table[image])


def compressed(split: Split, size: int, quality: float) -> Scene:
    """Encoded as a JPEG of that quality and decoded."""

    def again(image: U8) -> U8:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)

    return _repainted(split, size, again)


def covered(split: Split, size: int, share: float) -> Scene:
    """A grey rectangle over a share of the crop's area, at a random position in the crop."""
    matrices, rng = crop_matrices(split, size), np.random.default_rng(0)
    sides = crop_widths(matrices, size)
    middles = (matrices[:, :, :2] @ np.full(2, size / 2)) + matrices[:, :, 2]
    planes = []
    for image, middle, side in zip(split.images, middles, sides, strict=True):
        # Aspect ratio from 1 : 2 to 2 : 1, as far as the rectangle fits into the crop.
        stretch = np.exp(rng.uniform(-0.5, 0.5) * np.log(2) * min(1.0, 1 - share))
        extent = side * np.sqrt(share) * np.array([stretch, 1 / stretch])
        corner = middle - side / 2 + rng.random(2) * np.maximum(side - extent, 0)
        grey = int(rng.integers(256))
        planes.append(_painted(image, corner, corner + extent, grey) if share else image)
    return Scene(planes, matrices)


def distant(split: Split, size: int, face_px: float) -> Scene:
    """Each picture shrunk until the runtime's crop is ``face_px`` wide in it, never enlarged."""
    return shrunk(split, size, face_px / crop_widths(crop_matrices(split, size), size))


def shrunk(split: Split, size: int, factors: NDArray[np.floating]) -> Scene:
    """Each picture shrunk by its own factor of at most 1, as a more distant face; the crop is taken from the
    small picture.
    """
    matrices = crop_matrices(split, size).copy()
    planes = []
    for k, (image, factor) in enumerate(zip(split.images, factors, strict=True)):
        side = max(2, round(split.side * min(1.0, float(factor))))
        small = image if side == split.side else cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        planes.append(small)
        matrices[k] *= side / split.side
    return Scene(planes, matrices)


def crop_widths(matrices: F32, size: int) -> F64:
    """Width of each crop in picture pixels: eye distance over the template's, for a frontal face."""
    return np.hypot(matrices[:, 0, 0], matrices[:, 1, 0]).astype(np.float64) * size


def eye_distances(split: Split) -> F64:
    """Eye distances in picture pixels; NaN where no face was found."""
    return np.linalg.norm(split.landmarks[:, 1] - split.landmarks[:, 0], axis=1).astype(np.float64)


def _repainted(split: Split, size: int, paint: Callable[[U8], U8]) -> Scene:
    return Scene([np.ascontiguousarray(paint(image)) for image in split.images], crop_matrices(split, size))


def _grey(values: NDArray[np.floating]) -> U8:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _painted(image: U8, low: Matrix, high: Matrix, grey: int) -> U8:
    """A copy with the pixels between two corners (x, y) in one grey."""
    copy = image.copy()
    (left, top), (right, bottom) = (np.maximum(np.rint(corner), 0).astype(int) for corner in (low, high))
    copy[top:bottom, left:right] = grey
    return copy


def _about(middle: float, degrees: float, factor: float) -> Matrix:
    """[2, 3]: a clockwise turn (y points down) about the point (middle, middle), and a scale."""
    angle = math.radians(degrees)
    c, s = factor * math.cos(angle), factor * math.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    centre = np.full(2, middle)
    return np.c_[linear, centre - linear @ centre]


def _composed(matrices: NDArray[np.floating], first: Matrix) -> F32:
    """``first`` within the crop, then each matrix: the crop is still sampled once."""
    linear = matrices[:, :, :2] @ first[:, :2]
    offset = matrices[:, :, :2] @ first[:, 2:] + matrices[:, :, 2:]
    return np.concatenate([linear, offset], axis=2).astype(np.float32)


def _after(last: Matrix, matrices: F32) -> F32:
    """Each matrix, then ``last`` of the picture."""
    moved = last[:, :2] @ matrices
    moved[:, :, 2] += last[:, 2]
    return moved.astype(np.float32)


DISTORTIONS = (
    Distortion(
        "rotation",
        "degrees clockwise",
        (-45, -30, -20, -10, 0, 10, 20, 30, 45),
        0,
        {"left in the crop": rolled, "aligned by landmarks": rolled_and_aligned},
    ),
    Distortion(
        "scale",
        "size of the face in the crop",
        (0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.4, 1.6),
        1,
        {"left in the crop": scaled},
    ),
    Distortion(
        "face size",
        "px, side of the crop in the frame",
        (12, 16, 20, 24, 28, 32, 40, 48),
        None,
        {"aligned by landmarks": distant},
    ),
    Distortion(
        "blur", "standard deviation, px of 48", (0, 0.5, 1, 1.5, 2, 3), 0, {"aligned by landmarks": blurred}
    ),
    Distortion(
        "noise",
        "standard deviation, grey levels of 255",
        (0, 5, 10, 20, 30, 40),
        0,
        {"aligned by landmarks": noisy},
    ),
    Distortion(
        "gamma", "exponent", (0.4, 0.6, 0.8, 1, 1.25, 1.6, 2.5), 1, {"aligned by landmarks": brightened}
    ),
    Distortion(
        "occlusion",
        "covered share of the crop",
        (0, 0.05, 0.1, 0.2, 0.3, 0.4),
        0,
        {"aligned by landmarks": covered},
    ),
    Distortion("JPEG", "quality", (5, 10, 20, 30, 50, 75, 95), None, {"aligned by landmarks": compressed}),
)
