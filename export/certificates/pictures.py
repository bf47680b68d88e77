"""Which pictures calibrate a file, choose between its versions, and certify it. No picture has two of these
uses.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from export.certificates.faces import Faces, Rows, faces_from_pictures, faces_from_prepared
from export.certificates.photographs import (
    Photographs,
    photographs_from_pictures,
    photographs_from_prepared,
)
from fer_edge.models import ModelError, ModelSpec

Pictures = Faces | Photographs


class Uses(NamedTuple):
    """Functions that load the pictures of each use."""

    calibration: Callable[[], Pictures]
    choice: Callable[[], Pictures]
    certificate: Callable[[], Pictures]


CALIBRATION, CHOICE = 256, 1000  # faces
CALIBRATION_PHOTOS, CHOICE_PHOTOS, CERTIFICATE_PHOTOS = 64, 200, 500  # each holds several faces


def first(limit: int) -> Rows:
    """The first half of the rows, at most ``limit``."""
    return lambda count: slice(min(limit, count // 2))


def after(first_limit: int, limit: int) -> Rows:
    """At most ``limit`` of the rows after those of ``first(first_limit)``."""
    return lambda count: slice(min(first_limit, count // 2), min(first_limit, count // 2) + limit)


def unused(count: int) -> slice:
    """The rows that neither calibrate nor choose; all of them where none is left."""
    used = min(CALIBRATION, count // 2) + CHOICE
    return slice(used if used < count else 0, None)


def third(use: int, files: list[Path]) -> list[Path]:
    """The first, second or last third of each folder's files, so that the frames of a video have one use but
    at two cuts, and folders of classes have all uses. Folders of fewer than three count as one.
    """
    folders: dict[Path, list[Path]] = {}
    for file in files:
        folders.setdefault(file.parent, []).append(file)
    small = [file for group in folders.values() if len(group) < 3 for file in group]
    groups = [*(group for group in folders.values() if len(group) >= 3), small]
    return [f for group in groups for f in group[len(group) * use // 3 : len(group) * (use + 1) // 3]]


def pictures_from_folder(folder: Path, spec: ModelSpec) -> Uses:
    """The pictures of a folder for each use.

    A validation split calibrates and chooses, a test split certifies; of other pictures each use gets a
    `third`.

    Args:
        folder: of training.prepare, of a detector's ``faces-*.npz``, or of picture files: upright, tight face
            crops for an expression network, photographs for a detector, without labels.
        spec: of the network.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} must be a folder of pictures or of training.prepare, but is none")
    thirds = [partial(third, use) for use in range(3)]
    if spec.role == "detector":
        if list(folder.glob("faces-*.npz")):
            load = partial(photographs_from_prepared, folder, spec=spec)
            return Uses(
                partial(load, "valid", rows=first(CALIBRATION_PHOTOS)),
                partial(load, "valid", rows=after(CALIBRATION_PHOTOS, CHOICE_PHOTOS)),
                partial(load, "test", rows=lambda count: slice(CERTIFICATE_PHOTOS)),
            )
        return Uses(*(partial(photographs_from_pictures, folder, part, spec) for part in thirds))
    if (folder / "valid.npz").exists():
        faces = partial(faces_from_prepared, folder, spec=spec)
        return Uses(
            partial(faces, "valid", rows=first(CALIBRATION)),
            partial(faces, "valid", rows=after(CALIBRATION, CHOICE)),
            partial(faces, "test"),
        )
    return Uses(*(partial(faces_from_pictures, folder, part, spec) for part in thirds))
