"""A folder of pictures, in the order of their names, decoded as `fer-edge predict` does."""

import logging
import re
from pathlib import Path

from fer_edge.installation.import_opencv import opencv
from fer_edge.pictures.read_picture import ENDINGS, read_picture
from fer_edge.stream.sources.capture import Frame

_logger = logging.getLogger("fer_edge")


class PictureFolder:
    """The pictures of a folder.

    Args:
        folder: its path. Names are in natural order: frame9.png before frame10.png.

    Raises:
        FileNotFoundError: the folder has no pictures.
        ImportError: OpenCV is missing.
    """

    missing = 0

    def __init__(self, folder: Path) -> None:
        opencv()
        found = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in ENDINGS and not path.name.startswith(".")
        ]
        if not found:
            raise FileNotFoundError(f"{folder} has no pictures ({', '.join(ENDINGS)})")
        self._folder, self._count = folder, 0
        self._paths = sorted(found, key=lambda path: _natural(path.name), reverse=True)

    def read(self) -> Frame | None:
        """Returns the next picture, or None at the end; ValueError, OSError: it cannot be read."""
        if not self._paths:
            return None
        path = self._paths.pop()
        number, self._count = self._count, self._count + 1
        try:
            picture = read_picture(path)
        except ValueError as error:
            raise ValueError(f"frame {number} of {self._folder}: {path.name} {error}") from error
        for note in picture.notes:
            _logger.warning("%s %s", path, note)
        return Frame(picture.pixels, None)

    def close(self) -> None:
        """Forgets the pictures that are left."""
        self._paths = []


def _natural(name: str) -> list[tuple[int, str]]:
    """Numbers in a name count as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
