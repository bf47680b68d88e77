"""Photographs on which a detector is calibrated and measured."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from export.certificates.differences import Differences
from export.certificates.faces import Files, Rows
from fer_edge import ops
from fer_edge.arrays import F32, U8
from fer_edge.backends.base import Backend
from fer_edge.detection.detect import Detector, letterbox
from fer_edge.detection.scales import DEFAULT_LONG_PX
from fer_edge.models import ModelError, ModelSpec
from fer_edge.result import Detections
from training.data.pictures import UnreadablePicture, luma_from_file, picture_files
from training.detector.photos import load_photos

SAME = 0.5  # intersection over union from which two boxes are one face
MAX_FACES = 64


class Photographs:
    """Luma planes uint8 [H, W]."""

    def __init__(self, planes: list[U8], spec: ModelSpec, name: str) -> None:
        self._planes, self._spec, self.name = planes, spec, name

    def __len__(self) -> int:
        return len(self._planes)

    def inputs(self) -> Iterator[F32]:
        """Yields each photograph's network input [1, 1, h, w] of the runtime's finest pass."""
        for plane in self._planes:
            scale = min(DEFAULT_LONG_PX / max(plane.shape), 1.0)
            matrix, (height, width) = letterbox(plane.shape, scale, self._spec.input_multiple)
            x = np.empty((1, 1, height, width), np.float32)
            mean = self._spec.mean
            ops.warp_normalize(
                plane, matrix, x, mean=mean, scale=self._spec.scale, border="constant", fill=mean
            )
            yield x

    @property
    def sha256(self) -> str:
        """Identifies the photographs."""
        digest = hashlib.sha256()
        for plane in self._planes:
            digest.update(np.ascontiguousarray(plane).tobytes())
        return digest.hexdigest()

    def results(self, network: Backend) -> list[Detections]:
        """The faces of each photograph, as the runtime finds them."""
        detect = Detector(
            network, self._spec, threshold=self._spec.threshold, min_face=None, max_faces=MAX_FACES
        )
        return [detect(plane) for plane in self._planes]

    def differences(self, reference: Backend, candidate: Backend) -> Differences:
        """Raises ValueError if the reference finds no face."""
        return self.differences_from(self.results(reference), candidate)

    def differences_from(self, ours: list[Detections], candidate: Backend) -> Differences:
        """`differences` from faces of the reference that are already known."""
        found = sum(map(len, ours))
        if not found:
            raise ValueError(f"{self.name}: the reference must find faces in them, got none")
        differences: list[float] = []
        moved: list[tuple[float, float]] = []
        unmatched = 0
        for one, other in zip(ours, self.results(candidate), strict=True):
            pairs = _pairs(one, other)
            differences += [abs(float(one.scores[a] - other.scores[b])) for a, b in pairs]
            moved += [_distances(one.select([a]), other.select([b])) for a, b in pairs]
            lost = np.delete(one.scores, [a for a, _ in pairs])
            added = np.delete(other.scores, [b for _, b in pairs])
            differences += [*lost.tolist(), *added.tolist()]
            unmatched += len(lost) + len(added)
        box, landmark = np.mean(moved, axis=0).tolist() if moved else (None, None)
        return Differences(
            pictures=len(self),
            largest_difference=max(differences),
            mean_difference=float(np.mean(differences)),
            changed_labels=unmatched / found,
            mean_box_distance=box,
            mean_landmark_distance=landmark,
        )


def _distances(ours: Detections, theirs: Detections) -> tuple[float, float]:
    """How far the sides of one face's box, and its landmarks, are apart at most, in sides of the box."""
    side = float((ours.boxes[0, 2:] - ours.boxes[0, :2]).max())
    box = float(np.abs(ours.boxes - theirs.boxes).max())
    landmark = float(np.linalg.norm(ours.landmarks - theirs.landmarks, axis=2).max())
    return box / side, landmark / side


def _pairs(ours: Detections, theirs: Detections) -> list[tuple[int, int]]:
    """Indices of the boxes that are one face, each used once, best overlap first."""
    corner0 = np.maximum(ours.boxes[:, None, :2], theirs.boxes[None, :, :2])
    corner1 = np.minimum(ours.boxes[:, None, 2:], theirs.boxes[None, :, 2:])
    shared = np.maximum(corner1 - corner0, 0).prod(2)
    areas = [(d.boxes[:, 2:] - d.boxes[:, :2]).prod(1) for d in (ours, theirs)]
    overlap = shared / np.maximum(areas[0][:, None] + areas[1] - shared, 1e-6)
    pairs: list[tuple[int, int]] = []
    while overlap.size and overlap.max() > SAME:
        a, b = (int(k) for k in np.unravel_index(overlap.argmax(), overlap.shape))
        pairs.append((a, b))
        overlap[a, :] = overlap[:, b] = 0
    return pairs


def photographs_from_prepared(folder: Path, split: str, spec: ModelSpec, rows: Rows) -> Photographs:
    """Photographs of one split of a folder of ``faces-*.npz`` (`training.detector.photos`)."""
    photos = load_photos(folder, split)
    planes = [photo.image for photo in photos[rows(len(photos))]]
    return Photographs(planes, spec, f"{split} of {folder.name}")


def photographs_from_pictures(folder: Path, part: Files, spec: ModelSpec) -> Photographs:
    """Every picture file below a folder."""
    planes = [luma_from_file(file) for file in part(picture_files(folder, folder, {}))]
    readable = [plane for plane in planes if not isinstance(plane, UnreadablePicture)]
    if not readable:
        raise ModelError(f"{folder} must hold photographs or faces-*.npz, got too few readable pictures")
    return Photographs(readable, spec, f"pictures of {folder.name}")
