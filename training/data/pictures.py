"""What a reader returns: the rows of each split with their labels, and a function that reads one picture.

Pictures are read one at a time: AffectNet has hundreds of thousands, of up to several thousand pixels a side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32, I64, U8
from training.data.split import LABELS, SPLITS, UNKNOWN

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm")
# Files that file managers leave behind.
CLUTTER = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True)
class UnreadablePicture:
    """Takes the place of a picture that cannot be read."""

    reason: str


Picture = U8 | UnreadablePicture


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one split before their pictures are read.

    ``names`` are the files' names, for messages; ``luma`` reads the picture of a row, u8 [H, W] of any size;
    ``votes`` f32 [n, 8], shares that sum to 1; ``single``, ``rows`` and ``people`` as in Split. ``labelled``
    bool [n] is False where the annotators did not agree on one of LABELS; ``flagged`` bool [n] is True where
    the data set itself marks the row as a copy of a held-out picture. Neither kind of row is used.
    """

    names: Sequence[str]
    luma: Callable[[int], Picture]
    votes: F32
    single: I64
    rows: I64
    people: I64
    labelled: NDArray[np.bool_]
    flagged: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def usable(self) -> I64:
        """Indices of the rows that may be used for training or evaluation."""
        return np.flatnonzero(self.labelled & ~self.flagged)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The splits of a data set; ``broken`` maps a file or line that could not be listed to the reason.

    ``side`` is the width and height of every picture where the layout fixes it (FER+), else None.
    """

    splits: dict[str, Source]
    broken: dict[str, str] = field(default_factory=dict)
    side: int | None = None


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One picture file with one label, an index of LABELS or UNKNOWN."""

    split: str
    path: Path
    label: int
    person: int = UNKNOWN


def luma_from_file(path: Path) -> Picture:
    """Reads a file as luma u8 [H, W], upright by its EXIF tag; never raises for the content of the file."""
    colour = bgr_from_file(path)
    if isinstance(colour, UnreadablePicture):
        return colour
    # Not IMREAD_GRAYSCALE: its conversion depends on the codec; the runtime converts colours like this.
    return cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)


def bgr_from_file(path: Path) -> Picture:
    """Reads a file as BGR u8 [H, W, 3], as `luma_from_file`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return UnreadablePicture(error.strerror or str(error))
    if not data:
        return UnreadablePicture("the file is empty")
    # OpenCV before 5 fills the missing part of a truncated JPEG with grey. Within a scan the byte FF is
    # escaped, so an end marker after the last start of a scan is a real one.
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        return UnreadablePicture("the JPEG is cut off")
    colour = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return UnreadablePicture("not a picture, or cut off") if colour is None else colour


def source_from_arrays(
    names: Sequence[str],
    luma: Callable[[int], Picture],
    votes: F32,
    rows: I64,
    **columns: I64 | NDArray[np.bool_],
) -> Source:
    """A Source with default columns: nothing is known of a row, and every row may be used."""
    n = len(names)
    unknown = np.full(n, UNKNOWN, np.int64)
    given = {"single": unknown, "people": unknown, "labelled": np.ones(n, bool), "flagged": np.zeros(n, bool)}
    return Source(names, luma, votes, rows=rows, **(given | columns))


def dataset_from_rows(root: Path, rows: Sequence[PictureRow], broken: dict[str, str]) -> Dataset:
    """A Dataset of picture files with one label each; a row's number is its index in ``rows``."""
    splits = {}
    for split in SPLITS:
        numbers = [number for number, row in enumerate(rows) if row.split == split]
        paths = [rows[number].path for number in numbers]
        labels = np.array([rows[number].label for number in numbers], np.int64)
        splits[split] = source_from_arrays(
            [name_of(path, root) for path in paths],
            partial(_luma_at, paths),
            np.eye(len(LABELS), dtype=np.float32)[labels] * (labels != UNKNOWN)[:, None],
            np.array(numbers, np.int64),
            people=np.array([rows[number].person for number in numbers], np.int64),
            labelled=labels != UNKNOWN,
        )
    return Dataset(splits, broken)


def name_of(path: Path, root: Path) -> str:
    """A file's name in messages: relative to the data's folder, with forward slashes."""
    return path.relative_to(root).as_posix()


def picture_files(folder: Path, root: Path, broken: dict[str, str]) -> list[Path]:
    """All picture files below a folder, sorted by name; other files are added to ``broken``."""
    files = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.name.startswith(".") or path.name.lower() in CLUTTER:
            continue
        if path.suffix.lower() in SUFFIXES:
            files.append(path)
        else:
            broken[name_of(path, root)] = f"not one of {' '.join(SUFFIXES)}"
    return files


def _luma_at(paths: Sequence[Path], index: int) -> Picture:
    return luma_from_file(paths[index])
