"""Crops with what is known about them: whether the face in them is covered, and whether it is rolled.

From photographs, the crops are those that the runtime's own detector and alignment give after a change, since
a rolled head gives a rolled crop only where the detector takes it for an upright one. FER+ adds many
expressions of the mouth, and hands that people hold to their faces.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from tqdm import tqdm

from fer_edge import models
from fer_edge.arrays import F32, U8
from fer_edge.backends import opener_for
from fer_edge.detection.detect import Detector
from fer_edge.models import ModelSpec
from fer_edge.stages.abstain import MAX_OUTSIDE, MIN_EYE_PX
from fer_edge.stages.align import matrices_from_landmarks, outside_shares
from fer_edge.stages.preprocess import correct_exposure, fill_from_frame
from training.crop_check.covers import covered
from training.data.crops import MEAN, SCALE, TEMPLATE, crop_matrices, sample
from training.data.split import LABELS, Split
from training.detector.photos import MASK_SOURCES, Photo

# A cover from this share of the mouth, or of both eyes, on counts; up to the second share it does not, and
# between the two nothing is known.
HIDDEN, SHOWN = 0.75, 0.2
ROLLED, UPRIGHT = 45.0, 25.0  # degrees, likewise
MIN_SIZE = 24  # px, the smaller side of a face's box
COVERS, ROLLS = 2, 3  # changed copies of each photograph
KINDS = ("untouched", "mouth covered", "eyes covered", "partly covered", "rolled", "photographs with masks")


@dataclass(frozen=True, slots=True)
class Examples:
    """Crops u8 [n, S, S]; ``targets`` f32 [n, 2] in the order of PROBLEMS, NaN where unknown; ``kinds`` i64
    [n], indices of KINDS.
    """

    crops: U8
    targets: F32
    kinds: np.ndarray

    def __len__(self) -> int:
        return len(self.crops)


Row = tuple[U8, tuple[float, float], str]


def examples_from_rows(rows: Iterator[Row] | list[Row]) -> Examples:
    crops, targets, kinds = zip(*rows, strict=True)
    return Examples(
        np.stack(crops), np.array(targets, np.float32), np.array([KINDS.index(kind) for kind in kinds])
    )


class Cutter:
    """The runtime's way from a plane to the crop of one face."""

    def __init__(self, size: int) -> None:
        self._spec = ModelSpec(
            name="crops",
            role="expression",
            size=size,
            mean=MEAN,
            scale=SCALE,
            labels=LABELS,
            template=TEMPLATE,
        )
        file = models.load("face-luma", "detector")
        engine = opener_for("onnxruntime")(file, None)
        threshold = file.spec.threshold
        self._detect = Detector(engine, file.spec, threshold=threshold, min_face=None, max_faces=64)

    def __call__(self, plane: U8, truth: F32) -> tuple[U8, float] | None:
        """The crop u8 [S, S] of the face with the landmarks ``truth`` [5, 2], and the angle in degrees by
        which it is rolled in the crop; None if it is not found, or if its size or place make the runtime
        abstain.
        """
        found = self._detect(plane)
        if not len(found):
            return None
        away = np.hypot(*(found.landmarks.mean(1) - truth.mean(0)).T)
        k = int(away.argmin())
        points = found.landmarks[k : k + 1]
        extent = float(np.hypot(*(truth.max(0) - truth.min(0))))
        if away[k] > 0.5 * extent or np.hypot(*(points[0, 1] - points[0, 0])) < MIN_EYE_PX:
            return None
        size = self._spec.size
        matrices = matrices_from_landmarks(points, np.array(TEMPLATE, np.float32), size)
        if outside_shares(matrices, size, *plane.shape)[0] > MAX_OUTSIDE:
            return None
        crop = np.empty((1, 1, size, size), np.float32)
        fill_from_frame(plane, matrices, self._spec, crop)
        correct_exposure(crop, crop.reshape(1, -1).std(1) / np.float32(SCALE), self._spec)
        luma: U8 = (crop[0, 0] / SCALE + MEAN).round().clip(0, 255).astype(np.uint8)
        return luma, _angle_between(truth, points[0])


def _angle_between(truth: F32, found: F32) -> float:
    """Degrees in [0, 180] by which the true landmarks are turned against the found ones."""
    ours, theirs = (p - p.mean(0) for p in (truth, found))
    match = np.vdot(ours[:, 0] + 1j * ours[:, 1], theirs[:, 0] + 1j * theirs[:, 1])
    return abs(float(np.degrees(np.angle(match))))


def _rolled_target(angle: float) -> float:
    return 1.0 if angle > ROLLED else 0.0 if angle < UPRIGHT else np.nan


def _covered_row(crop: U8, mouth: float, eyes: float, rolled: float) -> Row:
    most = max(mouth, eyes)
    target = 1.0 if most >= HIDDEN else 0.0 if most <= SHOWN else np.nan
    whole = "mouth covered" if mouth >= eyes else "eyes covered"
    return crop, (target, rolled), whole if most >= HIDDEN else "partly covered"


def rows_from_photos(photos: list[Photo], size: int, seed: int) -> Iterator[Row]:
    """Each photograph's largest face, untouched, under COVERS covers and at ROLLS rolls."""
    cut = Cutter(size)
    for number, photo in enumerate(tqdm(photos, desc="photographs", mininterval=5)):
        sides = (photo.boxes[:, 2:] - photo.boxes[:, :2]).min(1) * photo.certain if len(photo.boxes) else ()
        if len(sides) and sides.max() >= MIN_SIZE:
            rng = np.random.default_rng((seed, photo.number))
            other = photos[(number + int(rng.integers(1, len(photos)))) % len(photos)].image
            yield from _rows_from_face(cut, photo, photo.landmarks[sides.argmax()], other, rng)


def _rows_from_face(
    cut: Cutter, photo: Photo, truth: F32, other: U8, rng: np.random.Generator
) -> Iterator[Row]:
    masked = photo.source.startswith(MASK_SOURCES)
    shown = np.nan if masked else 0.0
    if made := cut(photo.image, truth):
        kind = "photographs with masks" if masked else "untouched"
        yield made[0], (shown, _rolled_target(made[1])), kind
    for _ in range(COVERS):
        image, mouth, eyes = covered(photo.image, truth, other, rng)
        if made := cut(image, truth):
            row = _covered_row(made[0], mouth, eyes, _rolled_target(made[1]))
            if not (masked and row[1][0] == 0):
                yield row
    for degrees in rng.uniform(30, 330, ROLLS):
        image, moved = rolled(photo.image, truth, float(degrees))
        if made := cut(image, moved):
            yield made[0], (shown, _rolled_target(made[1])), "rolled"


def rolled(image: U8, landmarks: F32, degrees: float) -> tuple[U8, F32]:
    """The picture u8 [H, W] turned about the face, the border repeated, and the landmarks in it."""
    matrix = cv2.getRotationMatrix2D(tuple(map(float, landmarks.mean(0))), degrees, 1.0)
    turned = cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    moved = landmarks @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32)
    return np.asarray(turned, np.uint8), moved.astype(np.float32)


def rows_from_split(split: Split, size: int, seed: int) -> Iterator[Row]:
    """Each picture of a prepared split with landmarks: as it is, covered, and turned by quarter turns."""
    split = split.take(split.found)
    matrices = torch.from_numpy(crop_matrices(split, size))
    for k in tqdm(range(len(split)), desc="FER+", mininterval=5):
        rng = np.random.default_rng((seed, int(split.rows[k])))
        plain = _sampled(split.images[k], matrices[k], size)
        yield plain, (0.0, 0.0), "untouched"
        other = split.images[rng.integers(len(split))]
        image, mouth, eyes = covered(split.images[k], split.landmarks[k], other, rng)
        yield _covered_row(_sampled(image, matrices[k], size), mouth, eyes, 0.0)
        # Quarter turns leave no border that would tell them.
        yield np.rot90(plain, int(rng.integers(1, 4))).copy(), (0.0, 1.0), "rolled"


def _sampled(image: U8, matrix: torch.Tensor, size: int) -> U8:
    luma = sample(torch.from_numpy(image)[None], matrix[None], size)[0, 0]
    crop: U8 = luma.round().byte().numpy()
    return crop
