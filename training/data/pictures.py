"""What a reader gives: the rows of each split with their labels, and a way to read one picture at a time.

Pictures are not held: AffectNet has hundreds of thousands of them, of up to several thousand pixels a side.
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
# Left behind by file managers.
CLUTTER = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in the place of a picture that cannot be read."""

    reason: str


Picture = U8 | Unreadable


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one split before their pictures are read.

    ``names`` say where a picture lies, for messages; ``luma`` reads the picture of a row, u8 [H, W] of any
    size; ``votes`` f32 [n, 8], shares that sum to 1; ``single``, ``rows`` and ``people`` as in Split.
    ``labelled`` bool [n] is False where people did not settle on one of LABELS; ``flagged`` bool [n] is True
    where the data set itself says that a held-out picture is shown. Neither kind of row is trained on.
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
        """Indices of the rows that may be trained or judged on."""
        return np.flatnonzero(self.labelled & ~self.flagged)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Splits as a reader found them; ``broken`` says why a file or line could not even be listed, by name.

    ``side`` is the width and height of every picture where the layout fixes it (FER+), else None.
    """

    splits: dict[str, Source]
    broken: dict[str, str] = field(default_factory=dict)
    side: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One picture file with one label, an index of LABELS or UNKNOWN."""

    split: str
    path: Path
    label: int
    person: int = UNKNOWN


def luma_from_file(path: Path) -> Picture:
    """Reads a file as luma u8 [H, W], upright by its EXIF tag; never raises for what is in the file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return Unreadable(error.strerror or str(error))
    if not data:
        return Unreadable("the file is empty")
    # OpenCV before 5 fills what a cut-off JPEG lacks with grey. Within a scan the byte FF is escaped, so an
    # end marker behind the last start of a scan is a true one.
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        return Unreadable("the JPEG is cut off")
    colour = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if colour is None:
        return Unreadable("not a picture, or cut off")
    # Not IMREAD_GRAYSCALE: codecs have greys of their own, and the runtime's is this one.
    return cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)


def source_from_arrays(
    names: Sequence[str],
    luma: Callable[[int], Picture],
    votes: F32,
    rows: I64,
    **columns: I64 | NDArray[np.bool_],
) -> Source:
    """A Source whose remaining columns say, unless given, that nothing is known and every row is good."""
    n = len(names)
    unknown = np.full(n, UNKNOWN, np.int64)
    given = {"single": unknown, "people": unknown, "labelled": np.ones(n, bool), "flagged": np.zeros(n, bool)}
    return Source(names, luma, votes, rows=rows, **(given | columns))


def dataset_from_rows(root: Path, rows: Sequence[Row], broken: dict[str, str]) -> Dataset:
    """A Dataset of picture files with one label each; a row's number is its place in ``rows``."""
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
    """A file as messages name it: below the data's folder, with forward slashes on every system."""
    return path.relative_to(root).as_posix()


def picture_files(folder: Path, root: Path, broken: dict[str, str]) -> list[Path]:
    """The picture files anywhere below a folder, sorted by name; other files are noted in ``broken``."""
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
