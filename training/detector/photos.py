"""The detector's data: grey photographs with pseudo-labelled faces, split by picture.

A folder of ``faces-*.npz``, each with ``jpeg`` (u8 bytes of all pictures), ``jpeg_offset`` [n+1], ``faces``
f32 [m, 15] (x, y, w, h, five landmarks, the teacher's score), ``face_offset`` [n+1] and ``source`` [n].
Copies with an equal difference hash are in the same split, because several source sets repeat photographs;
`without_copies` finds the others.
``negative`` bool [n] is True for pictures that were chosen because they hold no face. The marks of
training.mark_faces may take the place of the packed ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32, U8
from training.data.dedup import near_duplicates_between, thumbnail_from_luma

MASK_SOURCES = "mask_"  # picture sets in which many wear masks: nothing is known about their untouched faces
TRUE_SCORE = 0.8  # the teacher's score from which a face counts; below, it is neither face nor background
HELD_OUT = {
    "test": range(0, 10),
    "valid": range(10, 15),
    "train": range(15, 100),
}  # buckets of the hash, of 100


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture and its faces.

    ``image`` is u8 [H, W] luma; ``boxes`` f32 [n, 4] xyxy and ``landmarks`` f32 [n, 5, 2] in its pixels;
    ``certain`` bool [n] is False for faces to be ignored; ``source`` names the picture set; a ``negative``
    picture holds no face; ``number`` counts the pictures of all files.
    """

    image: U8
    boxes: F32
    landmarks: F32
    certain: NDArray[np.bool_]
    source: str
    negative: bool
    number: int


def difference_hash(image: U8, side: int = 8) -> int:
    """Signs of the horizontal gradient of a small thumbnail, as an integer (N. Krawetz's dHash)."""
    thumb = cv2.resize(image, (side + 1, side), interpolation=cv2.INTER_AREA)
    bits = (thumb[:, 1:] > thumb[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _bucket(digest: int) -> int:
    """A hash to 0..99, spread by Knuth's multiplicative constant, so that similar pictures do not cluster."""
    return int((digest * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 32) % 100


def load_photos(folder: Path, split: str, marks: Path | None = None) -> list[Photo]:
    """All pictures of one split ("train", "valid" or "test") in file order.

    ``marks`` is a file of training.mark_faces, made from the same folder. Raises FileNotFoundError when the
    folder holds no ``faces-*.npz`` and ValueError for an unknown split or marks of other pictures.
    """
    if split not in HELD_OUT:
        raise ValueError(f"split must be one of {sorted(HELD_OUT)}, got {split!r}")
    files = sorted(Path(folder).glob("faces-*.npz"))
    if not files:
        raise FileNotFoundError(f"{folder} must hold faces-*.npz; found none")
    packs = [_arrays(file) for file in files]
    if marks is not None:
        _replace_marks(packs, marks)
    first = np.cumsum([0, *(len(pack["negative"]) for pack in packs)])
    return [p for pack, k in zip(packs, first, strict=False) for p in _read(pack, HELD_OUT[split], int(k))]


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    with np.load(file) as packed:
        return {name: packed[name] for name in packed.files}


def _replace_marks(packs: list[dict[str, NDArray[Any]]], marks: Path) -> None:
    new, first = _arrays(marks), 0
    pictures = sum(len(pack["negative"]) for pack in packs)
    if len(new["face_offset"]) != pictures + 1:
        raise ValueError(
            f"{marks} must be of these {pictures} pictures, got {len(new['face_offset']) - 1}; make it again "
            "with training.mark_faces"
        )
    for pack in packs:
        count = len(pack["negative"])
        pack["faces"], pack["face_offset"] = new["faces"], new["face_offset"][first : first + count + 1]
        first += count


def without_copies(photos: Sequence[Photo], others: Sequence[Photo]) -> list[Photo]:
    """Those that show none of the other pictures, nearly the same or mirrored (training.data.dedup).

    The split keeps exact copies together, but a picture that was cut or compressed again may have another
    hash.
    """
    thumbnails = (np.stack([thumbnail_from_luma(photo.image) for photo in part]) for part in (photos, others))
    copies = {index for index, _, _ in near_duplicates_between(*thumbnails)}
    return [photo for index, photo in enumerate(photos) if index not in copies]


def _read(data: dict[str, NDArray[Any]], buckets: range, first_number: int) -> list[Photo]:
    photos = []
    for k in range(len(data["jpeg_offset"]) - 1):
        start, end = data["jpeg_offset"][k : k + 2]
        image = cv2.imdecode(data["jpeg"][start:end], cv2.IMREAD_GRAYSCALE)
        if _bucket(difference_hash(image)) not in buckets:
            continue
        first, last = data["face_offset"][k : k + 2]
        rows = data["faces"][first:last]
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        source = str(data["source_names"][data["source"][k]])
        points, certain = rows[:, 4:14].reshape(-1, 5, 2), rows[:, 14] >= TRUE_SCORE
        negative = bool(data["negative"][k])
        photos.append(Photo(image, boxes, points, certain, source, negative, first_number + k))
    return photos
