"""Which pictures calibrate a file, choose between its versions, and certify it. No picture has two uses."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from export.certificates.faces import Faces, faces_from_pictures, faces_from_prepared
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


# Rows of a prepared split. Calibration and choice share the validation split; the test split certifies.
CALIBRATION, CHOICE = slice(256), slice(256, 1256)
# Photographs are larger and hold several faces.
CALIBRATION_PHOTOS, CHOICE_PHOTOS, CERTIFICATE_PHOTOS = slice(64), slice(64, 264), slice(500)


def pictures_from_folder(folder: Path, spec: ModelSpec) -> Uses:
    """The pictures of a folder for each use.

    Args:
        folder: of training.prepare, of a detector's ``faces-*.npz``, or of picture files: upright, tight face
            crops for an expression network, photographs for a detector, without labels.
        spec: of the network.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} must be a folder of pictures or of training.prepare, but is none")
    if spec.role == "detector":
        if list(folder.glob("faces-*.npz")):
            load = partial(photographs_from_prepared, folder, spec=spec)
            return Uses(
                partial(load, "valid", rows=CALIBRATION_PHOTOS),
                partial(load, "valid", rows=CHOICE_PHOTOS),
                partial(load, "test", rows=CERTIFICATE_PHOTOS),
            )
        return Uses(*(partial(photographs_from_pictures, folder, slice(k, None, 3), spec) for k in range(3)))
    if (folder / "valid.npz").exists():
        faces = partial(faces_from_prepared, folder, spec=spec)
        return Uses(
            partial(faces, "valid", rows=CALIBRATION),
            partial(faces, "valid", rows=CHOICE),
            partial(faces, "test"),
        )
    return Uses(*(partial(faces_from_pictures, folder, slice(k, None, 3), spec) for k in range(3)))
