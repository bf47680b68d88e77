"""A folder of pictures, in the order of their names."""

import re
from pathlib import Path

import numpy as np

from fer_edge.installation.import_opencv import opencv
from fer_edge.stream.sources.capture import Frame

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif")


class PictureFolder:
    """The pictures of a folder.

    Args:
        folder: its path. Names are in natural order: frame9.png before frame10.png.

    Raises:
        FileNotFoundError: the folder has no pictures.
    """

    def __init__(self, folder: Path) -> None:
        self._cv2 = opencv()
        found = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in ENDINGS and not path.name.startswith(".")
        ]
        if not found:
            raise FileNotFoundError(f"{folder} has no pictures ({', '.join(ENDINGS)})")
        self._paths = sorted(found, key=lambda path: _natural(path.name), reverse=True)

    def read(self) -> Frame | None:
        """Returns the next picture, or None at the end; ValueError: a file is not a picture."""
        if not self._paths:
            return None
        path = self._paths.pop()
        # Not imread, which cannot read every name.
        data = np.fromfile(path, np.uint8)
        pixels = self._cv2.imdecode(data, self._cv2.IMREAD_COLOR) if data.size else None
        if pixels is None:
            raise ValueError(f"{path} cannot be read as a picture; remove it or save it again")
        return Frame(pixels, None)

    def close(self) -> None:
        """Forgets the pictures that are left."""
        self._paths = []


def _natural(name: str) -> list[tuple[int, str]]:
    """Numbers in a name count as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
